//! What a peer with a valid token may say, and a node for it to say it to.

#![allow(dead_code, reason = "each test target uses its own part")]

use std::{collections::BTreeMap, future::pending, net::SocketAddr};

use bytes::Bytes;
use grid_proto::{
    HandlerId, MuxId,
    wire::{Flags, Message, Op, encode_merged, unfold},
};
use grid_transport::{Builder, Capacity, Connection, HandlerError, Manager, Settings, StreamCall};
use tokio::net::TcpListener;

use super::{
    node::{self, A, B, C, Redirect},
    raw::{Frame, Next, Raw, request},
};

pub(crate) const ECHO: HandlerId = HandlerId::new(9);
/// Answers the number of bytes that came.
pub(crate) const LENGTH: HandlerId = HandlerId::new(10);
/// Answers as many bytes as it is told to.
pub(crate) const SIZED: HandlerId = HandlerId::new(11);
/// Never answers, and keeps what it was asked.
pub(crate) const STUCK: HandlerId = HandlerId::new(21);
/// A stream that gives back what it gets, 4 items either way.
pub(crate) const TWO_WAY: HandlerId = HandlerId::new(22);
/// A stream that never reads, 4 items either way.
pub(crate) const NEVER_READS: HandlerId = HandlerId::new(64);
/// A stream that takes nothing and never ends.
pub(crate) const NO_INPUT: HandlerId = HandlerId::new(65);
pub(crate) const UNKNOWN: HandlerId = HandlerId::new(77);

pub(crate) fn handlers(builder: Builder) -> Builder {
    let four = Capacity::new(4, 4);
    builder
        .single(ECHO, |request| async move { Ok(request.into_payload()) })
        .single(LENGTH, |request| async move {
            Ok(request.payload().len().to_string().into())
        })
        .single(SIZED, |request| async move {
            let size: usize = std::str::from_utf8(request.payload().as_slice())?.parse()?;
            Ok(vec![b's'; size].into())
        })
        .single(STUCK, |request| async move {
            let () = pending().await;
            Ok(request.into_payload())
        })
        .stream(TWO_WAY, four, |mut call| async move {
            while let Some(item) = call.recv().await {
                call.send(item?.into_bytes()).await?;
            }
            Ok(())
        })
        .stream(NEVER_READS, four, keep)
        .stream(NO_INPUT, Capacity::new(0, 4), keep)
}

/// A stream's handler that keeps its end and does nothing.
pub(crate) async fn keep(call: StreamCall) -> Result<(), HandlerError> {
    let () = pending().await;
    drop(call);
    Ok(())
}

/// A node `B` that raw peers dial as `A`, or as one of `others`.
pub(crate) async fn serving(settings: Settings, others: &[String]) -> (SocketAddr, Manager) {
    let names: Vec<&str> = [A, C]
        .into_iter()
        .chain(others.iter().map(String::as_str))
        .collect();
    let manager = handlers(node::builder(B, &names))
        .settings(settings)
        .build()
        .unwrap();
    let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = manager.serve(socket).unwrap().local_addr().unwrap();
    (address, manager)
}

/// Names of nodes that dial `B`.
pub(crate) fn dialers(count: usize) -> Vec<String> {
    (0..)
        .map(|number| format!("http://peer-{number}:9000"))
        .filter(|name| grid_proto::local_dials(name, B))
        .take(count)
        .collect()
}

/// A raw peer that was let in.
pub(crate) async fn let_in(address: SocketAddr, name: &str) -> Raw {
    let (raw, response) = Raw::connect(address, &request(name, "debug")).await;
    assert!(response.accepted, "{}", response.rejected_reason);
    raw
}

/// A node `A` that has dialed a raw peer.
pub(crate) async fn dialing(settings: Settings) -> (Raw, Manager, Connection) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let redirect = Redirect(listener.local_addr().unwrap());
    let manager = handlers(node::builder(A, &[B]).dialer(redirect))
        .settings(settings)
        .build()
        .unwrap();
    let link = manager.connection(B).unwrap();
    let mut raw = Raw::accept(&listener).await;
    raw.serve_request().await;
    raw.send_response(true, "").await;
    node::connected(&link).await;
    (raw, manager, link)
}

pub(crate) fn call(op: Op, handler: HandlerId, mux: u64, payload: impl Into<Bytes>) -> Message {
    let flags = match op {
        Op::Request => Flags::CRC | Flags::EOF,
        _ => Flags::CRC,
    };
    Message {
        handler,
        flags,
        payload: payload.into(),
        ..Message::new(op, MuxId::new(mux))
    }
}

pub(crate) fn numbered(op: Op, mux: u64, seq: u32, payload: impl Into<Bytes>) -> Message {
    Message {
        seq,
        flags: Flags::CRC,
        payload: payload.into(),
        ..Message::new(op, MuxId::new(mux))
    }
}

pub(crate) fn ended(mut message: Message) -> Message {
    message.flags |= Flags::EOF;
    message
}

/// All of `messages` in one websocket message of the client.
pub(crate) fn merged(messages: &[Message]) -> Frame {
    let mut bytes = Vec::new();
    encode_merged(messages, &mut bytes);
    Frame::binary(bytes, true)
}

/// Reads until `done` says so of the messages that came.
pub(crate) async fn read_until(raw: &mut Raw, done: impl Fn(&[Message]) -> bool) -> Vec<Message> {
    let mut messages = Vec::new();
    while !done(&messages) {
        match raw.next().await {
            Next::Frame(frame) => messages.extend(unfold(frame.payload.into()).map(Result::unwrap)),
            Next::End => panic!("the end came after {messages:?}"),
        }
    }
    messages
}

/// Whether what ends a stream is among them.
pub(crate) fn has_end(messages: &[Message], mux: u64) -> bool {
    messages
        .iter()
        .any(|message| message.op == Op::DisconnectClientMux && message.mux == MuxId::new(mux))
}

/// The texts of the errors among the messages of a mux.
pub(crate) fn errors(messages: &[Message], mux: u64) -> Vec<String> {
    messages
        .iter()
        .filter(|message| {
            message.mux == MuxId::new(mux) && message.flags.contains(Flags::PAYLOAD_IS_ERR)
        })
        .map(|message| String::from_utf8_lossy(&message.payload).into_owned())
        .collect()
}

/// A thousand calls, each of which gets its own answer.
pub(crate) async fn a_thousand_calls(raw: &mut Raw, masked: bool) {
    let calls: Vec<Message> = (50_000..51_000)
        .map(|mux| call(Op::Request, ECHO, mux, mux.to_string()))
        .collect();
    let frame = Frame {
        masked,
        ..merged(&calls)
    };
    raw.send_frame(&frame).await;
    let mut answers = BTreeMap::new();
    while answers.len() < 1_000 {
        let came = read_until(raw, |came| !came.is_empty()).await;
        for answer in came {
            if answer.op == Op::Response {
                assert!(!answer.flags.contains(Flags::PAYLOAD_IS_ERR), "{answer:?}");
                assert_eq!(answer.payload, answer.mux.get().to_string());
                assert_eq!(answers.insert(answer.mux.get(), ()), None);
            }
        }
    }
    assert_eq!(
        (answers.keys().next(), answers.keys().last()),
        (Some(&50_000), Some(&50_999))
    );
}
