//! Socket to machine.

use std::{
    ops::ControlFlow,
    sync::{Arc, atomic::Ordering},
};

use bytes::Bytes;
use futures_util::FutureExt;
use grid_proto::{
    conn::{CloseReason, Routes},
    wire::{DecodeError, Flags, Message, Op, unfold},
};

use super::Session;
use crate::{
    state::LinkCause,
    ws::{WsError, WsReader},
};

/// Messages that go in under one lock.
const BATCH_MESSAGES: usize = 256;
/// Bytes of websocket messages that are taken in before the machine is fed.
const BATCH_BYTES: usize = 256 * 1024;

/// Messages that were decoded outside the lock, and why the rest was not.
#[derive(Default)]
struct Batch {
    messages: Vec<Message>,
    bytes: usize,
    failure: Option<(LinkCause, CloseReason)>,
}

/// Reads until the session ends, or ends it. Gives the socket's half back.
pub(super) async fn read(session: Arc<Session>, mut socket: WsReader) -> WsReader {
    loop {
        let received = tokio::select! {
            biased;
            () = session.closing.cancelled() => return socket,
            received = socket.next() => received,
        };
        let mut batch = Batch::default();
        let mut flow = batch.take(&session, received);
        // What has arrived already goes in under the same lock.
        while flow.is_continue()
            && batch.bytes < BATCH_BYTES
            && batch.messages.len() < BATCH_MESSAGES
            && let Some(received) = socket.next().now_or_never()
        {
            flow = batch.take(&session, received);
        }
        if batch.feed(&session).is_break() {
            return socket;
        }
    }
}

impl Batch {
    fn take(&mut self, session: &Session, received: Result<Bytes, WsError>) -> ControlFlow<()> {
        match received {
            Ok(bytes) => {
                self.bytes += bytes.len();
                for message in unfold(bytes) {
                    match message
                        .map_err(Unreadable::Decode)
                        .and_then(|m| insist(session, m))
                    {
                        Ok(message) => self.messages.push(message),
                        Err(unreadable) => {
                            self.failure = Some(unreadable.into_failure());
                            return ControlFlow::Break(());
                        }
                    }
                }
                ControlFlow::Continue(())
            }
            Err(error) => {
                let words = error.to_string();
                self.failure = Some((LinkCause::from(error), CloseReason::Lost(words.into())));
                ControlFlow::Break(())
            }
        }
    }

    /// Feeds the machine with what was read, serves what was called, and ends the session where
    /// reading has failed.
    fn feed(&mut self, session: &Arc<Session>) -> ControlFlow<()> {
        let routes: &dyn Routes = &*session.link.node.registry;
        let messages = std::mem::take(&mut self.messages);
        if !messages.is_empty() {
            let (fed, mut effects) = session.locked(|core, now| {
                for message in messages {
                    core.conn.handle_message(now, message, routes);
                }
            });
            session
                .heard
                .store(session.meter.bytes_in(), Ordering::Relaxed);
            let closing = effects.closing() || fed.is_none();
            effects.run(session);
            session.serve_in_place(effects);
            if closing {
                return ControlFlow::Break(());
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

#[derive(Debug)]
pub(super) enum Unreadable {
    Decode(DecodeError),
    NoChecksum(Op),
}

impl Unreadable {
    fn into_failure(self) -> (LinkCause, CloseReason) {
        match self {
            Self::Decode(error) => (LinkCause::Decode(error), CloseReason::Decode(error)),
            Self::NoChecksum(op) => {
                let words = format!("a {op} without checksum");
                (
                    LinkCause::Protocol(words.as_str().into()),
                    CloseReason::Lost(words.into()),
                )
            }
        }
    }
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
