//! Machine to socket.

use std::sync::Arc;

use grid_proto::{
    conn::CloseReason,
    wire::{MergedLen, Message, encode_merged_head, encode_merged_part},
};

use super::Session;
use crate::{
    state::LinkCause,
    ws::{WsError, WsWriter},
};

/// The outer envelope of a merged message, at most.
const MERGED_HEAD: usize = 32;

/// Writes until the session ends, or ends it. Gives the socket's half back.
pub(super) async fn write(session: Arc<Session>, mut socket: WsWriter) -> WsWriter {
    let mut messages = Vec::new();
    loop {
        if session.take_messages(&mut messages) {
            let sent = tokio::select! {
                biased;
                () = session.monitor.closing.cancelled() => return socket,
                sent = send(&session, &mut socket, &mut messages) => sent,
            };
            if let Err(error) = sent {
                session.fail(error);
                return socket;
            }
            continue;
        }
        if messages.capacity() > 256 {
            messages = Vec::new();
        }
        let owed = tokio::select! {
            biased;
            () = session.monitor.closing.cancelled() => return socket,
            () = session.monitor.writer.notified() => false,
            () = socket.owed() => true,
        };
        if owed {
            if let Err(error) = socket.send_owed().await {
                session.fail(error);
                return socket;
            }
        } else if session.is_busy() {
            // Others are about to add to what is sent at once.
            tokio::task::yield_now().await;
        }
    }
}

impl Session {
    /// Takes what the machine wants to send; false when there is nothing, and the writer may
    /// sleep until it is woken.
    fn take_messages(self: &Arc<Self>, messages: &mut Vec<Message>) -> bool {
        let limit = self.link.node.settings.merge_limit;
        messages.clear();
        let taken = self.with(|core, now| {
            core.conn.poll_transmit(now, messages, limit);
            core.sleepers.writer_takes(messages.is_empty());
        });
        taken.is_some() && !messages.is_empty()
    }

    fn is_busy(&self) -> bool {
        let core = self.monitor.lock();
        core.calls.len()
            + core.streams.len()
            + core.conn.serving_requests()
            + core.conn.serving_streams()
            > 1
    }

    /// More is queued than the writer takes at once.
    pub(super) fn is_backlogged(&self) -> bool {
        self.monitor.lock().conn.queued_bytes() > self.link.node.settings.merge_limit
    }

    fn fail(self: &Arc<Self>, error: WsError) {
        let words = error.to_string();
        self.close(LinkCause::from(error), CloseReason::Lost(words.into()));
    }
}

/// Sends messages in order, merging what fits together; one over the limit goes alone, so that
/// no merged message is larger than a message may be.
async fn send(
    session: &Session,
    socket: &mut WsWriter,
    messages: &mut Vec<Message>,
) -> Result<(), WsError> {
    let settings = &session.link.node.settings;
    let limit = settings
        .merge_limit
        .min(settings.max_message.saturating_sub(MERGED_HEAD));
    let mut rest = messages.as_slice();
    while !rest.is_empty() {
        let (count, bytes) = group(rest, limit);
        let (together, later) = rest.split_at(count);
        socket.put(bytes, |buffer| match together {
            [alone] => alone.encode(buffer),
            _ => {
                encode_merged_head(count as u32, buffer);
                for message in together.iter() {
                    encode_merged_part(&message.as_frame(), buffer);
                }
            }
        });
        rest = later;
    }
    // Not held twice for as long as the peer takes to read it.
    messages.clear();
    socket.send_put().await
}

/// How many of the first messages go together, and how many bytes they take.
fn group(messages: &[Message], limit: usize) -> (usize, usize) {
    let (mut merged, mut alone, mut count) = (MergedLen::default(), 0, 0);
    for message in messages {
        let (before, len) = (merged, message.encoded_len());
        merged.add(len);
        if count > 0 && merged.total() > limit {
            merged = before;
            break;
        }
        (alone, count) = (len, count + 1);
    }
    (count, if count == 1 { alone } else { merged.total() })
}

#[cfg(test)]
mod tests {
    use grid_proto::{
        MuxId,
        wire::{Op, encode_merged},
    };

    use super::*;

    fn message(len: usize) -> Message {
        let mut message = Message::new(Op::Request, MuxId::new(1));
        message.payload = vec![0; len].into();
        message
    }

    #[test]
    fn a_large_message_goes_alone() {
        let messages = [message(10), message(10), message(100_000), message(10)];
        let (count, bytes) = group(&messages, 65_536);
        let mut merged = Vec::new();
        encode_merged(&messages[..2], &mut merged);
        assert_eq!((count, bytes), (2, merged.len()));
        assert_eq!(
            group(&messages[..1], 65_536),
            (1, messages[0].encoded_len())
        );
        assert_eq!(group(&messages[2..], 65_536).0, 1);
        assert_eq!(group(&messages[3..], 65_536).0, 1);
    }
}
