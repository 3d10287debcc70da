//! What the reader owes the peer and the writer has to send.

// All that a model checker puts something else in place of.
use crate::sync::{Mutex, Notify};

use bytes::Bytes;

/// Between the two halves of a websocket.
#[derive(Debug, Default)]
pub(crate) struct Control {
    owed: Mutex<Owed>,
    wake: Notify,
}

/// At most one of each, so that a peer that floods with pings costs nothing.
#[derive(Debug, Default)]
struct Owed {
    /// The payload of the newest ping.
    pong: Option<Bytes>,
    /// The payload of the close frame.
    close: Option<Bytes>,
}

impl Control {
    pub(super) fn owe_pong(&self, payload: Bytes) {
        // A copy, because the slice would keep the whole read buffer.
        let payload = Bytes::copy_from_slice(&payload);
        let before = self.owed.lock().pong.replace(payload);
        drop(before);
        self.wake.notify_one();
    }

    /// The first close counts.
    pub(super) fn owe_close(&self, status: Option<u16>) {
        let payload = status.map_or_else(Bytes::new, |status| {
            Bytes::copy_from_slice(&status.to_be_bytes())
        });
        self.owed.lock().close.get_or_insert(payload);
    }

    pub(super) fn take_pong(&self) -> Option<Bytes> {
        self.owed.lock().pong.take()
    }

    pub(super) fn take_close(&self) -> Option<Bytes> {
        self.owed.lock().close.take()
    }

    /// Returns when a pong is owed.
    pub(crate) async fn pong_owed(&self) {
        while self.owed.lock().pong.is_none() {
            self.wake.notified().await;
        }
    }
}
