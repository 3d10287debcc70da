//! Socket to machine.

use std::{
    ops::ControlFlow,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use bytes::Bytes;
use futures_util::FutureExt;
use grid_proto::{
    conn::CloseReason,
    wire::{DecodeError, Flags, Message, Op, Unfold, unfold},
};
use tokio::time::Instant;

use super::{Effects, Session, report};
use crate::{
    registry::Frozen,
    state::LinkCause,
    ws::{Calm, LARGE_FRAME, WsError, WsReader},
};

/// Messages that go in under one lock: more where they are quickly done with, and never more than the last, as a link
/// whose batches take long keeps its thread from the other links.
const FEWEST_MESSAGES: usize = 16;
const MOST_MESSAGES: usize = 256;
/// What a batch is to take at most. Longer ones halve the next, those of a quarter of it double it.
const BATCH_TIME: Duration = Duration::from_micros(400);
/// Bytes of websocket messages that are taken in before the machine is fed. The first batch after a silence is small, so
/// that the peer gets something to do while we go on: with all of it in one the two nodes would work by turns. While more
/// and more is there already each batch is twice the one before, which costs less.
const FIRST_BATCH: usize = 8 * 1024;
const LARGEST_BATCH: usize = 64 * 1024;
/// What a message counts beside its bytes where it is about turns: small ones take their time too.
const MESSAGE_COST: usize = 128;
/// And so many messages, where these are small. A thread that was woken for one link hears of no other before it has its
/// first turn.
const FIRST_MESSAGES: usize = 32;

/// Messages that were decoded outside the lock, and why the rest was not.
struct Batch {
    /// So many batches in a row were small ones.
    calm: Calm,
    /// The most bytes.
    limit: usize,
    /// The most messages, and how many it is so soon after a silence.
    most: usize,
    now: usize,
    messages: Vec<Message>,
    /// When there were enough of them for their time to matter.
    began: Option<Instant>,
    /// What came besides and is no message of ours, such as text.
    noise: u32,
    bytes: usize,
    /// Bytes of payloads that were copied out of the websocket message that they came in.
    copied: usize,
    /// Bytes since others had their turn, and what messages count beside them.
    unturned: usize,
    /// What is left of the last websocket message, and its length: a merged one holds many more
    /// messages than its bytes would suggest.
    rest: Option<(Unfold, usize)>,
    failure: Option<(LinkCause, CloseReason)>,
}

/// Reads until the session ends, or ends it. Gives the socket's half back.
pub(super) async fn read(
    session: Arc<Session>,
    registry: Arc<Frozen>,
    mut socket: Box<WsReader>,
) -> Box<WsReader> {
    let (mut batch, mut effects) = (Batch::new(), Effects::default());
    loop {
        let received = match socket.next_or_noise().now_or_never() {
            // There may always be more.
            Some(received) if !session.monitor.closing.is_cancelled() => received,
            Some(_) => return socket,
            None => {
                batch.begin();
                tokio::select! {
                    biased;
                    () = session.monitor.closing.cancelled() => return socket,
                    received = socket.next_or_noise() => received,
                }
            }
        };
        batch.bytes = 0;
        batch.take(&session, received);
        // What has arrived already goes in under the same lock.
        while batch.has_room()
            && let Some(received) = socket.next_or_noise().now_or_never()
        {
            batch.take(&session, received);
        }
        if batch.is_calm(&effects) {
            // A link that has become idle keeps no trace of its busiest moment, from a few messages on.
            batch.messages.shrink_to(16);
            effects = Effects::default();
        }
        let mut full = !batch.has_room();
        loop {
            if batch.feed(&session, &registry, &mut effects).is_break() {
                return socket;
            }
            let wrote = session.write_after_batch(full);
            if full {
                batch.grow();
                if batch.ends_turn(&session, wrote) {
                    // The writer gets its turn, and those who were woken.
                    super::turn().await;
                }
            }
            if batch.rest.is_none() {
                break;
            }
            batch.fill(&session);
            full = batch.rest.is_some();
        }
        if !full && session.is_backlogged() {
            // There may always be more to read: the writer gets its turn, which nobody waits for.
            super::turn().await;
        }
    }
}

impl Batch {
    fn new() -> Self {
        Self {
            calm: Calm::default(),
            limit: FIRST_BATCH,
            most: MOST_MESSAGES,
            now: FIRST_MESSAGES,
            messages: Vec::new(),
            began: None,
            noise: 0,
            bytes: 0,
            copied: 0,
            unturned: 0,
            rest: None,
            failure: None,
        }
    }

    /// Whether there is far more room than is needed any more.
    fn is_calm(&mut self, effects: &Effects) -> bool {
        let room = self.messages.capacity().max(effects.room());
        self.calm.after(self.messages.len() < room / 16)
    }

    /// There was nothing more to read.
    fn begin(&mut self) {
        (self.limit, self.now) = (FIRST_BATCH, FIRST_MESSAGES);
        self.unturned = 0;
    }

    fn grow(&mut self) {
        self.limit = (self.limit * 2).min(LARGEST_BATCH);
        self.now = (self.now * 2).min(MOST_MESSAGES);
    }

    /// Whether others are to have their turn now. Where each turn has other threads woken, and where there were answers and
    /// they are written, that is only after so much that this one is kept from its other tasks for long.
    fn ends_turn(&mut self, session: &Session, wrote: bool) -> bool {
        let goes_on = session.writes_early && (wrote || session.turns_wake);
        let ends = !goes_on || self.unturned >= LARGEST_BATCH || self.most < MOST_MESSAGES;
        if ends {
            self.unturned = 0;
        }
        ends
    }

    /// That it took so long, with so many messages: the next takes more of them, or fewer.
    fn took(&mut self, messages: usize, time: Duration) {
        if time > BATCH_TIME {
            self.most = (self.most / 2).max(FEWEST_MESSAGES);
        } else if time < BATCH_TIME / 4 && messages >= self.most {
            self.most = (self.most * 2).min(MOST_MESSAGES);
        }
    }

    fn has_room(&self) -> bool {
        self.failure.is_none()
            && self.rest.is_none()
            && self.bytes < self.limit
            && self.messages.len() + (self.noise as usize) < self.most.min(self.now)
    }

    fn take(&mut self, session: &Session, received: Result<Option<Bytes>, WsError>) {
        match received {
            Ok(None) => {
                self.noise += 1;
                self.unturned += MESSAGE_COST;
            }
            Ok(Some(bytes)) => {
                self.bytes += bytes.len();
                let len = bytes.len();
                self.rest = Some((unfold(bytes), len));
                self.fill(session);
            }
            Err(error) => {
                let words = error.to_string();
                self.failure = Some((LinkCause::from(error), CloseReason::Lost(words.into())));
            }
        }
    }

    /// Decodes as many messages as go in under one lock.
    fn fill(&mut self, session: &Session) {
        while self.messages.len() < self.most.min(self.now)
            && let Some((rest, len)) = &mut self.rest
            // What is left of it would hardly be a batch.
            && (self.copied < self.limit || *len <= self.limit + self.limit / 2)
        {
            let whole = *len;
            let message = match rest.next_apart(|payload| is_pinning(payload, whole)) {
                None => {
                    self.rest = None;
                    return;
                }
                Some(message) => message
                    .map_err(Unreadable::Decode)
                    .and_then(|message| insist(session, message)),
            };
            match message {
                Ok(message) => {
                    if message.op == Op::Merged {
                        report::nested(session, &message);
                    }
                    if is_pinning(message.payload.len(), whole) {
                        self.copied += message.payload.len();
                    }
                    self.unturned += MESSAGE_COST + message.payload.len();
                    self.messages.push(message);
                    if self.messages.len() == FEWEST_MESSAGES {
                        self.began = Some(Instant::now());
                    }
                }
                Err(unreadable) => {
                    report::unreadable(session, &unreadable, rest.spoilt().unwrap_or_default());
                    self.rest = None;
                    self.failure = Some(unreadable.into_failure());
                }
            }
        }
    }

    /// Feeds the machine with what was read, serves what was called, and ends the session where
    /// reading has failed.
    fn feed(
        &mut self,
        session: &Arc<Session>,
        registry: &Frozen,
        effects: &mut Effects,
    ) -> ControlFlow<()> {
        let messages = &mut self.messages;
        let noise = std::mem::take(&mut self.noise);
        self.copied = 0;
        if !messages.is_empty() || noise > 0 {
            let (now, count) = (Instant::now(), messages.len());
            let fed = session.locked(effects, |core| {
                for message in messages.drain(..) {
                    core.conn.handle_message(now.into_std(), message, registry);
                }
                if noise > 0 {
                    core.conn.handle_noise(now.into_std(), noise);
                }
                core.shrink();
            });
            session
                .heard
                .store(session.meter.bytes_in(), Ordering::Relaxed);
            let closing = effects.closing() || fed.is_none();
            effects.run(session);
            if let Some(called) = effects.called() {
                session.serve_in_place(registry, called);
            }
            if closing {
                return ControlFlow::Break(());
            }
            if let Some(began) = self.began.take() {
                self.took(count, began.elapsed());
            }
        }
        match self.failure.take() {
            Some((cause, reason)) => {
                session.close(cause, reason);
                ControlFlow::Break(())
            }
            None => ControlFlow::Continue(()),
        }
    }
}

#[derive(Debug, thiserror::Error)]
pub(super) enum Unreadable {
    #[error(transparent)]
    Decode(DecodeError),
    #[error("a {0} without checksum")]
    NoChecksum(Op),
}

impl Unreadable {
    fn into_failure(self) -> (LinkCause, CloseReason) {
        match self {
            Self::Decode(error) => (LinkCause::Decode(error), CloseReason::Decode(error)),
            Self::NoChecksum(_) => {
                let words = self.to_string();
                (
                    LinkCause::Protocol(words.as_str().into()),
                    CloseReason::Lost(words.into()),
                )
            }
        }
    }
}

/// Whether a payload is copied out of the websocket message that it was read in, which is not its own: whoever keeps it
/// would keep the whole, of which only the payload is counted as held.
fn is_pinning(payload: usize, whole: usize) -> bool {
    payload > 0 && (whole <= LARGE_FRAME || payload < whole - whole / 16)
}

/// Where checksums are insisted on, a message without one is unreadable; a ping of the link never
/// has one (protocol section 3).
pub(super) fn insist(session: &Session, message: Message) -> Result<Message, Unreadable> {
    let node = &session.link.node;
    if node.settings.require_checksums
        && !message.flags.contains(Flags::CRC)
        && grid_proto::uses_checksums(&node.local, &session.link.name)
        && !(message.op == Op::Ping && message.mux == grid_proto::MuxId::CONNECTION)
    {
        return Err(Unreadable::NoChecksum(message.op));
    }
    Ok(message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_batch_after_a_silence_is_small_and_those_that_follow_it_are_larger() {
        fn has_room_for(batch: &mut Batch) -> u32 {
            while batch.has_room() {
                batch.noise += 1;
            }
            std::mem::take(&mut batch.noise)
        }
        let mut batch = Batch::new();
        for _ in 0..2 {
            for messages in [32, 64, 128, 256, 256] {
                assert_eq!(has_room_for(&mut batch), messages);
                batch.grow();
            }
            batch.begin();
        }
        // As many as have been quick enough, if these are fewer.
        batch.most = FEWEST_MESSAGES;
        assert_eq!(has_room_for(&mut batch), 16);
        batch.bytes = FIRST_BATCH;
        assert_eq!(has_room_for(&mut batch), 0);
        batch.grow();
        assert_eq!(has_room_for(&mut batch), 16);
    }

    #[test]
    fn batches_that_take_long_become_smaller() {
        let mut batch = Batch::new();
        let quick = BATCH_TIME / 4 - Duration::from_nanos(1);
        let mut went = |messages, time| {
            batch.took(messages, time);
            batch.most
        };
        let slow = BATCH_TIME + Duration::from_nanos(1);
        // However few of them took so long, the next ones are to take less.
        assert_eq!(went(256, slow), 128);
        assert_eq!(went(20, slow), 64);
        // One that was not full says nothing of more.
        assert_eq!(went(63, quick), 64);
        assert_eq!(went(64, quick + Duration::from_nanos(1)), 64);
        assert_eq!(went(64, quick), 128);
        assert_eq!(went(128, quick), 256);
        assert_eq!(went(256, quick), 256);
        assert_eq!(went(256, BATCH_TIME), 256);
        for most in [128, 64, 32, 16, 16] {
            assert_eq!(went(16, slow), most);
        }
        assert_eq!(went(16, quick), 32);
    }

    #[test]
    fn a_payload_keeps_no_buffer_but_its_own() {
        assert!(!is_pinning(0, 160_000));
        assert!(is_pinning(149_999, 160_000));
        assert!(!is_pinning(150_000, 160_000));
        // A buffer that others are read into as well.
        assert!(is_pinning(LARGE_FRAME - 30, LARGE_FRAME));
        assert!(!is_pinning(LARGE_FRAME - 30, LARGE_FRAME + 1));
    }
}
