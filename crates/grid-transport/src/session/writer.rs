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

/// Queued bytes with which the writer doesn't wait for more: one system call for this much is cheap enough, and the peer
/// can begin.
const ENOUGH: usize = 4 * 1024;
const ENOUGH_OF_MANY: usize = 16 * 1024;

/// With more calls and streams than this the writer waits for all who are ready, and not only for those who have their
/// turn before it: it will be many.
const CROWD: usize = 128;

/// Writes until the session ends, or ends it. Gives the socket's half back.
pub(super) async fn write(session: Arc<Session>, mut socket: Box<WsWriter>) -> Box<WsWriter> {
    let (mut messages, mut lens) = (Vec::new(), Vec::new());
    loop {
        if session.take_messages(&mut messages) {
            let sent = tokio::select! {
                biased;
                () = session.monitor.closing.cancelled() => return socket,
                sent = send(&session, &mut socket, &mut messages, &mut lens) => sent,
            };
            if let Err(error) = sent {
                session.fail(error);
                return socket;
            }
            continue;
        }
        if messages.capacity() > 256 {
            (messages, lens) = (Vec::new(), Vec::new());
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
        } else {
            // Others are about to add to what is sent at once.
            match session.expected() {
                Some(crowd) if crowd > CROWD => tokio::task::yield_now().await,
                Some(_) => super::turn().await,
                None => {}
            }
        }
    }
}

impl Session {
    /// Takes what the machine wants to send; false when there is nothing, and the writer may
    /// sleep until it is woken.
    fn take_messages(self: &Arc<Self>, messages: &mut Vec<Message>) -> bool {
        let limit = self.link.node.settings.merge_limit;
        messages.clear();
        let taken = self.with_clock(|core, now| {
            core.conn.poll_transmit(now, messages, limit);
            core.sleepers.writer_takes(messages.is_empty());
        });
        taken.is_some() && !messages.is_empty()
    }

    /// How many may be about to add something; none where nobody is, or where what is queued is enough.
    fn expected(&self) -> Option<usize> {
        let core = self.monitor.lock();
        let open = core.calls.len()
            + core.streams.len()
            + core.conn.serving_requests()
            + core.conn.serving_streams();
        let enough = if open > CROWD { ENOUGH_OF_MANY } else { ENOUGH };
        (open > 1 && core.conn.queued_bytes() < enough).then_some(open)
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
/// no merged message is larger than a message may be. `lens` is room for their lengths.
async fn send(
    session: &Session,
    socket: &mut WsWriter,
    messages: &mut Vec<Message>,
    lens: &mut Vec<usize>,
) -> Result<(), WsError> {
    let settings = &session.link.node.settings;
    let limit = settings
        .merge_limit
        .min(settings.max_message.saturating_sub(MERGED_HEAD));
    let mut rest = messages.as_slice();
    while !rest.is_empty() {
        let bytes = group(rest, limit, lens);
        let (together, later) = rest.split_at(lens.len());
        socket.put(bytes, |buffer| match together {
            [alone] => alone.encode(buffer),
            _ => {
                encode_merged_head(lens.len() as u32, buffer);
                for (message, len) in together.iter().zip(lens.iter()) {
                    encode_merged_part(&message.as_frame(), *len, buffer);
                }
            }
        });
        rest = later;
    }
    // Not held twice for as long as the peer takes to read it.
    messages.clear();
    socket.send_put().await
}

/// Puts the lengths of those of the first messages that go together into `lens`, and says how many bytes they take.
fn group(messages: &[Message], limit: usize, lens: &mut Vec<usize>) -> usize {
    lens.clear();
    let mut merged = MergedLen::default();
    for message in messages {
        let (before, len) = (merged, message.encoded_len());
        merged.add(len);
        if !lens.is_empty() && merged.total() > limit {
            merged = before;
            break;
        }
        lens.push(len);
    }
    match lens.as_slice() {
        [alone] => *alone,
        _ => merged.total(),
    }
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
        let mut lens = Vec::new();
        let mut together = |messages: &[Message]| {
            let bytes = group(messages, 65_536, &mut lens);
            (lens.len(), bytes)
        };
        let mut merged = Vec::new();
        encode_merged(&messages[..2], &mut merged);
        assert_eq!(together(&messages), (2, merged.len()));
        assert_eq!(together(&messages[..1]), (1, messages[0].encoded_len()));
        assert_eq!(together(&messages[2..]).0, 1);
        assert_eq!(together(&messages[3..]).0, 1);
    }
}
