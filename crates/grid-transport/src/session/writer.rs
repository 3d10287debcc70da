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
        if session.take_messages(&mut messages, &mut lens) {
            let sent = tokio::select! {
                biased;
                () = session.monitor.closing.cancelled() => return socket,
                sent = send(&session, &mut socket, &mut messages, &lens) => sent,
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
    fn take_messages(self: &Arc<Self>, messages: &mut Vec<Message>, lens: &mut Vec<usize>) -> bool {
        let limit = self.link.node.settings.merge_limit;
        messages.clear();
        lens.clear();
        let taken = self.with_clock(|core, now| {
            core.conn.poll_transmit_measured(now, messages, lens, limit);
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
/// no merged message is larger than a message may be. `lens` are their lengths.
async fn send(
    session: &Session,
    socket: &mut WsWriter,
    messages: &mut Vec<Message>,
    lens: &[usize],
) -> Result<(), WsError> {
    let settings = &session.link.node.settings;
    let limit = settings
        .merge_limit
        .min(settings.max_message.saturating_sub(MERGED_HEAD));
    let (mut messages_left, mut lens_left) = (messages.as_slice(), lens);
    while !messages_left.is_empty() {
        let (count, bytes) = group(lens_left, limit);
        let (together, later) = messages_left.split_at(count);
        let (their_lens, later_lens) = lens_left.split_at(count);
        socket.put(bytes, |buffer| match together {
            [alone] => alone.encode(buffer),
            _ => {
                encode_merged_head(count as u32, buffer);
                for (message, len) in together.iter().zip(their_lens) {
                    encode_merged_part(&message.as_frame(), *len, buffer);
                }
            }
        });
        (messages_left, lens_left) = (later, later_lens);
    }
    // Not held twice for as long as the peer takes to read it.
    messages.clear();
    socket.send_put().await
}

/// How many of the first messages, which have these lengths, go together, and how many bytes they take then.
fn group(lens: &[usize], limit: usize) -> (usize, usize) {
    let mut merged = MergedLen::default();
    for (count, len) in lens.iter().enumerate() {
        let before = merged;
        merged.add(*len);
        if count > 0 && merged.total() > limit {
            return grouped(lens, count, before);
        }
    }
    grouped(lens, lens.len(), merged)
}

fn grouped(lens: &[usize], count: usize, merged: MergedLen) -> (usize, usize) {
    match lens.first() {
        Some(alone) if count == 1 => (1, *alone),
        _ => (count, merged.total()),
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
        let lens = messages.each_ref().map(Message::encoded_len);
        let together = |from: usize| group(&lens[from..], 65_536);
        let mut merged = Vec::new();
        encode_merged(&messages[..2], &mut merged);
        assert_eq!(together(0), (2, merged.len()));
        assert_eq!(group(&lens[..1], 65_536), (1, lens[0]));
        assert_eq!(together(2), (1, lens[2]));
        assert_eq!(together(3), (1, lens[3]));
    }
}
