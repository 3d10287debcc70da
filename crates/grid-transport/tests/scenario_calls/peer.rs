//! A raw peer at a node of ours, message by message: merged ones are taken apart.

use std::collections::VecDeque;

use grid_proto::{
    HandlerId, MuxId,
    wire::{Flags, Message, Op, unfold},
};
use grid_transport::{Builder, Connection, Manager};
use tokio::net::TcpListener;

use crate::{
    node::{A, B, Redirect, builder, connected},
    raw::{Next, Raw, request},
};

pub(crate) struct Peer {
    pub(crate) raw: Raw,
    waiting: VecDeque<Message>,
}

/// A raw peer that calls a node of ours.
pub(crate) async fn caller(configure: impl Fn(Builder) -> Builder) -> (Manager, Peer) {
    let manager = configure(builder(B, &[A])).build().unwrap();
    let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = manager.serve(socket).unwrap().local_addr().unwrap();
    let (raw, response) = Raw::connect(address, &request(A, "debug")).await;
    assert!(response.accepted);
    let link = manager.connection(A).unwrap();
    connected(&link).await;
    (manager, Peer::new(raw))
}

/// A node of ours that dials a raw peer, and where that listens.
pub(crate) async fn callee() -> (Manager, Connection, TcpListener) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let manager = builder(A, &[B]).dialer(Redirect(address)).build().unwrap();
    let link = manager.connection(B).unwrap();
    (manager, link, listener)
}

impl Peer {
    fn new(raw: Raw) -> Self {
        Self {
            raw,
            waiting: VecDeque::new(),
        }
    }

    /// Takes in the next dial of [`callee`]'s node.
    pub(crate) async fn accept(listener: &TcpListener) -> Self {
        let mut raw = Raw::accept(listener).await;
        raw.serve_request().await;
        raw.send_response(true, "").await;
        Self::new(raw)
    }

    pub(crate) async fn send(&mut self, message: &Message) {
        self.raw.send_message(message).await;
    }

    /// The next message; pings of the connection are not counted.
    pub(crate) async fn message(&mut self) -> Message {
        loop {
            if let Some(message) = self.waiting.pop_front() {
                return message;
            }
            let Next::Frame(frame) = self.raw.next().await else {
                panic!("the connection has ended");
            };
            let messages = unfold(frame.payload.into()).map(Result::unwrap);
            self.waiting
                .extend(messages.filter(|message| message.op != Op::Ping));
        }
    }

    /// All that has come by the time that two pings were answered.
    pub(crate) async fn messages(&mut self) -> Vec<Message> {
        let later = self.raw.round_trip().await;
        let later = later.into_iter().filter(|message| message.op != Op::Ping);
        self.waiting.drain(..).chain(later).collect()
    }
}

/// What a raw caller begins a request or a stream with.
pub(crate) fn call(op: Op, handler: HandlerId, mux: u64) -> Message {
    let mut call = Message::new(op, MuxId::new(mux));
    call.handler = handler;
    call.payload = "x".into();
    if op == Op::Request {
        call.flags = Flags::EOF;
    }
    call
}

/// A message of a call of that number.
pub(crate) fn numbered(op: Op, mux: u64, seq: u32, flags: Flags, payload: &str) -> Message {
    Message {
        seq,
        flags,
        payload: payload.to_owned().into(),
        ..Message::new(op, MuxId::new(mux))
    }
}
