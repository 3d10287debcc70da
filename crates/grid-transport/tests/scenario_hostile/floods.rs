//! More than anybody asked for: H13.

use std::time::Duration;

use grid_proto::{
    MuxId,
    wire::{Message, Op},
};
use grid_transport::{Capacity, LinkCause, Settings};

use crate::{
    hostile::{
        ECHO, STUCK, a_thousand_calls, call, dialing, let_in, merged, numbered, read_until, serving,
    },
    node::{self, A},
    raw::Frame,
};

#[tokio::test]
async fn h13_floods_are_closed_as_abuse() {
    let defaults = Settings::new();
    assert_eq!(
        (defaults.max_unknown, defaults.max_leftovers),
        (10_000, 65_536)
    );
    let ping = Message::new(Op::Ping, MuxId::CONNECTION);
    let (address, manager) = serving(node::settings(), &[]).await;
    let link = manager.connection(A).unwrap();
    // Pings at once, and what is for calls and streams that never were once no earlier connection can explain it.
    type Flood = (&'static str, Box<dyn Fn(u32) -> Message>, u32);
    let floods: [Flood; 3] = [
        ("pings", Box::new(move |_| ping.clone()), 10_000),
        (
            "streams that are not open",
            Box::new(|seq| numbered(Op::MuxClientMsg, 1 << 40, seq, "x")),
            75_536,
        ),
        (
            "calls that are not open",
            Box::new(|seq| numbered(Op::MuxServerMsg, 1 << 40, seq, "x")),
            75_536,
        ),
    ];
    for (words, message, allowed) in &floods {
        let mut raw = let_in(address, A).await;
        node::connected(&link).await;
        let before = link.stats().messages_in;
        let flood: Vec<Message> = (0..*allowed).map(message).collect();
        for part in flood.chunks(5_000) {
            raw.send_frame(&merged(part)).await;
        }
        // All that is allowed came in, and the link is there: a call tells, which does not count like a ping.
        raw.send_message(&call(Op::Request, ECHO, 1, "x")).await;
        read_until(&mut raw, |came| came.iter().any(|m| m.op == Op::Response)).await;
        assert!(link.stats().messages_in > before + u64::from(*allowed));
        assert!(link.state().is_connected(), "{words}: {}", link.state());
        // The call allows for a message that comes late, such as its cancel.
        let more = if words.contains("streams") { 2 } else { 1 };
        for seq in 0..more {
            raw.send_message(&message(allowed + seq)).await;
        }
        raw.read_to_end().await;
        node::down_because(&link, |cause| match cause {
            LinkCause::Abuse(what) => what.contains(words).then_some(()),
            _ => None,
        })
        .await;
    }
    let mut raw = let_in(address, A).await;
    a_thousand_calls(&mut raw, true).await;
    manager.shutdown(Duration::ZERO).await;
}

#[tokio::test]
async fn h13_late_items_of_a_stream_that_was_cancelled_are_no_abuse() {
    let settings = node::settings().max_unknown(10).max_leftovers(0);
    let (mut raw, manager, link) = dialing(settings).await;
    let stream = link
        .stream(STUCK, Capacity::new(0, 100_000), "s")
        .await
        .unwrap();
    let mux = raw.read_message().await.unwrap().mux.get();
    raw.send_message(&numbered(Op::AckMux, mux, 0, "")).await;
    assert!(raw.round_trip().await.is_empty());
    drop(stream);
    assert_eq!(
        raw.read_message().await.unwrap().op,
        Op::DisconnectServerMux
    );
    let late: Vec<Message> = (1..=100_000)
        .map(|seq| numbered(Op::MuxServerMsg, mux, seq, "late"))
        .collect();
    for part in late.chunks(5_000) {
        let frame = Frame {
            masked: false,
            ..merged(part)
        };
        raw.send_frame(&frame).await;
    }
    a_thousand_calls(&mut raw, false).await;
    let stats = link.stats();
    assert_eq!((stats.unknown_mux, stats.reconnects), (100_000, 0));
    assert!(stats.state.is_connected());
    manager.shutdown(Duration::ZERO).await;
}
