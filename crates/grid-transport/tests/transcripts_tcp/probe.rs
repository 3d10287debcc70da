//! The handlers that the recorded conversations call, with gates where those waited for time to pass.

use std::sync::Arc;

use grid_transport::{Builder, Capacity, HandlerId, Payload, Request};
use tokio::{
    sync::{Semaphore, watch},
    time::timeout,
};

use crate::raw::PATIENCE;

/// Echoes.
pub(crate) const ECHO: HandlerId = HandlerId::new(9);
/// Echoes late.
pub(crate) const SLOW: HandlerId = HandlerId::new(21);
/// A stream that waits until it is cancelled; it takes no input.
pub(crate) const BLOCK: HandlerId = HandlerId::new(65);
pub(crate) const BLOCK_CAPACITY: Capacity = Capacity::new(0, 1);

/// What the handlers wait for, and what became of them.
pub(crate) struct Probe {
    /// Lets one late echo go.
    pub(crate) gate: Arc<Semaphore>,
    seen: watch::Sender<Seen>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Seen {
    pub(crate) slow_began: u32,
    pub(crate) slow_ended: u32,
    pub(crate) block_began: u32,
    pub(crate) block_dropped: u32,
}

impl Probe {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            gate: Arc::new(Semaphore::new(0)),
            seen: watch::Sender::new(Seen::default()),
        })
    }

    pub(crate) fn register(self: &Arc<Self>, builder: Builder) -> Builder {
        let (slow, block) = (self.clone(), self.clone());
        builder
            .single(ECHO, |request| async move { Ok(echo(request)) })
            .single(SLOW, move |request| {
                let probe = slow.clone();
                async move {
                    probe.seen.send_modify(|seen| seen.slow_began += 1);
                    let payload = echo(request);
                    probe.gate.acquire().await.unwrap().forget();
                    probe.seen.send_modify(|seen| seen.slow_ended += 1);
                    Ok(payload)
                }
            })
            .stream(BLOCK, BLOCK_CAPACITY, move |_call| {
                let probe = block.clone();
                async move {
                    probe.seen.send_modify(|seen| seen.block_began += 1);
                    let _dropped = Dropped(probe);
                    std::future::pending().await
                }
            })
    }

    /// Waits until the handlers have come so far.
    pub(crate) async fn seen(&self, wanted: impl Fn(&Seen) -> bool) {
        let mut seen = self.seen.subscribe();
        let outcome = timeout(PATIENCE, seen.wait_for(|seen| wanted(seen))).await;
        assert!(outcome.is_ok(), "still {:?}", *self.seen.borrow());
    }
}

struct Dropped(Arc<Probe>);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.seen.send_modify(|seen| seen.block_dropped += 1);
    }
}

fn echo(request: Request) -> Payload {
    Payload::Present(request.into_payload().into_bytes())
}
