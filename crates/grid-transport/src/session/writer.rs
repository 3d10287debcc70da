//! Machine to socket.

use std::sync::Arc;

use grid_proto::{
    conn::CloseReason,
    wire::{MergedLen, Message, encode_merged_head, encode_merged_part},
};

use super::{Core, Session, monitor::Sleepers};
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

/// What it takes to write.
#[derive(Debug)]
pub(super) struct Writing {
    pub(super) socket: Box<WsWriter>,
    /// What was taken from the machine, and the lengths of it.
    messages: Vec<Message>,
    pub(super) lens: Vec<usize>,
    /// Bytes that others have written since the writer last had the pen.
    pub(super) early: usize,
}

impl Core {
    /// How many may be about to add something.
    pub(super) fn open(&self) -> usize {
        self.calls.len()
            + self.streams.len()
            + self.conn.serving_requests()
            + self.conn.serving_streams()
    }
}

/// Writes until the session ends, or ends it. Gives the socket's half back.
pub(super) async fn write(session: Arc<Session>, socket: Box<WsWriter>) -> Box<WsWriter> {
    let control = socket.control();
    let _gone = Gone(session.clone());
    let mut pen = Box::new(Writing::new(socket));
    loop {
        if pen.socket.is_unfinished() || session.take_messages(&mut pen) {
            let sent = tokio::select! {
                biased;
                () = session.monitor.closing.cancelled() => return pen.socket,
                sent = pen.send(&session) => sent,
            };
            if let Err(error) = sent {
                session.fail(error);
                return pen.socket;
            }
            continue;
        }
        pen.rest();
        session.desk.lay_down(pen);
        let owed = tokio::select! {
            biased;
            () = session.monitor.closing.cancelled() => false,
            () = session.monitor.writer.notified() => {
                // Others are about to add to what is sent at once, or to write it themselves.
                match session.expected() {
                    Some(crowd) if crowd > CROWD => tokio::task::yield_now().await,
                    Some(_) => super::turn().await,
                    None => {}
                }
                false
            }
            () = control.pong_owed() => true,
        };
        pen = session.desk.take().await;
        pen.early = 0;
        if session.monitor.closing.is_cancelled() {
            return pen.socket;
        }
        // What is unfinished goes first; it is owed still then.
        if owed
            && !pen.socket.is_unfinished()
            && let Err(error) = pen.socket.send_owed().await
        {
            session.fail(error);
            return pen.socket;
        }
    }
}

impl Session {
    /// Takes what the machine wants to send; false when there is nothing, and the writer may
    /// sleep until it is woken.
    fn take_messages(self: &Arc<Self>, pen: &mut Writing) -> bool {
        self.take(pen, |sleepers, nothing| sleepers.writer_takes(nothing))
    }

    pub(super) fn take(
        self: &Arc<Self>,
        pen: &mut Writing,
        tell: impl FnOnce(&mut Sleepers, bool),
    ) -> bool {
        let limit = self.link.node.settings.merge_limit;
        let Writing { messages, lens, .. } = pen;
        messages.clear();
        lens.clear();
        let taken = self.with_clock(|core, now| {
            core.conn.poll_transmit_measured(now, messages, lens, limit);
            tell(&mut core.sleepers, messages.is_empty());
        });
        taken.is_some() && !messages.is_empty()
    }

    /// How many may be about to add something; none where nobody is, or where what is queued is enough.
    fn expected(&self) -> Option<usize> {
        let core = self.monitor.lock();
        let open = core.open();
        let enough = if open > CROWD { ENOUGH_OF_MANY } else { ENOUGH };
        (open > 1 && core.conn.queued_bytes() < enough).then_some(open)
    }

    /// More is queued than the writer takes at once.
    pub(super) fn is_backlogged(&self) -> bool {
        self.monitor.lock().conn.queued_bytes() > self.link.node.settings.merge_limit
    }

    pub(super) fn fail(self: &Arc<Self>, error: WsError) {
        let words = error.to_string();
        self.close(LinkCause::from(error), CloseReason::Lost(words.into()));
    }
}

/// The socket does not outlive the writer's task, however this ends, even if somebody holds the session still.
struct Gone(Arc<Session>);

impl Drop for Gone {
    fn drop(&mut self) {
        self.0.desk.close();
    }
}

impl Writing {
    const fn new(socket: Box<WsWriter>) -> Self {
        Self {
            socket,
            messages: Vec::new(),
            lens: Vec::new(),
            early: 0,
        }
    }

    /// Keeps no trace of the busiest moment.
    fn rest(&mut self) {
        if self.messages.capacity() > 256 {
            (self.messages, self.lens) = (Vec::new(), Vec::new());
        }
    }

    async fn send(&mut self, session: &Session) -> Result<(), WsError> {
        self.put(session);
        self.socket.send_put().await
    }

    /// Puts messages in order, merging what fits together; one over the limit goes alone, so that
    /// no merged message is larger than a message may be.
    pub(super) fn put(&mut self, session: &Session) {
        let settings = &session.link.node.settings;
        let limit = settings
            .merge_limit
            .min(settings.max_message.saturating_sub(MERGED_HEAD));
        let (mut messages_left, mut lens_left) = (self.messages.as_slice(), self.lens.as_slice());
        while !messages_left.is_empty() {
            let (count, bytes) = group(lens_left, limit);
            let (together, later) = messages_left.split_at(count);
            let (their_lens, later_lens) = lens_left.split_at(count);
            self.socket.put(bytes, |buffer| match together {
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
        self.messages.clear();
    }
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
