//! Handlers that panic (C19, C23): that is the outcome of their call, and nobody else's.

use std::{
    panic::panic_any,
    pin::Pin,
    task::{Context, Poll},
};

use grid_transport::{
    Builder, CallError, Capacity, Connection, HandlerError, HandlerId, Payload, SingleHandler,
};
use tokio::task::{JoinSet, yield_now};

use crate::{
    nodes::{Nodes, Reached, Steps, drain, memory, messages, recv, soon, steps, tcp},
    probe::{BOTH_1, ECHO, LONG, OUT_1, PANIC, PANIC_AFTER, TWO_WAY, WAIT, probe, text},
};

#[track_caller]
fn assert_text(error: &CallError, expected: &str) {
    assert!(
        matches!(error, CallError::Remote(remote) if *remote == *expected),
        "{error:?}"
    );
    assert!(error.may_have_executed() && !error.is_retryable());
}

/// Calls of the same two nodes that are under way meanwhile, in both directions.
struct Others {
    calls: JoinSet<()>,
}

impl Others {
    async fn begin(nodes: &Nodes) -> Self {
        let mut calls = JoinSet::new();
        for (index, peer) in nodes.both().into_iter().cycle().take(20).enumerate() {
            let open = peer.stream(TWO_WAY, BOTH_1, "x");
            let mut stream = open.await.unwrap();
            calls.spawn(async move {
                for item in messages(20) {
                    stream.send(item.clone()).await.unwrap();
                    assert_eq!(recv(&mut stream).await.unwrap().unwrap(), item);
                }
                stream.finish();
                assert!(recv(&mut stream).await.is_none());
            });
            calls.spawn(async move {
                let request = format!("20:{index}");
                let answer = peer.request(WAIT, request.clone()).timeout(LONG).await;
                assert_eq!(text(&answer.unwrap()), request);
            });
        }
        Self { calls }
    }

    /// None of them has noticed.
    async fn end(mut self) {
        let mut done = 0;
        while let Some(call) = soon(self.calls.join_next()).await {
            call.unwrap();
            done += 1;
        }
        assert_eq!(done, 40);
    }
}

fn panics(nodes: &Nodes) -> u64 {
    let stats = [nodes.a.handler_stats(), nodes.b.handler_stats()];
    stats.iter().flatten().map(|stats| stats.panics).sum()
}

async fn only_its_caller_hears_of_it(nodes: Nodes) {
    for peer in nodes.both() {
        let others = Others::begin(&nodes).await;
        let error = peer.request(PANIC, "boom").timeout(LONG).await.unwrap_err();
        assert_text(&error, "handleMessages: panic recovered: boom");
        for items in [0, 1, 50] {
            let open = peer.stream(PANIC_AFTER, OUT_1, format!("{items}:boom"));
            let (got, end) = drain(&mut open.await.unwrap()).await;
            assert_eq!(got, messages(items));
            assert_text(&end.unwrap(), "handler panic: boom");
        }
        others.end().await;
        nodes.calls_work(10).await;
        nodes.settled().await;
    }
    assert_eq!(panics(&nodes), 8);
}

#[tokio::test]
async fn c19_a_panic_is_the_error_of_its_call() {
    only_its_caller_hears_of_it(tcp().await).await;
}

#[tokio::test(start_paused = true)]
async fn c19_a_panic_is_the_error_of_its_call_pair() {
    only_its_caller_hears_of_it(memory().await).await;
}

/// Panics when it is dropped.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            panic!("in drop");
        }
    }
}

/// A future that is ready at once, or never, and panics when it is dropped.
struct DropsBadly<T>(Option<T>, Bomb);

impl<T: Unpin> Future for DropsBadly<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<T> {
        self.0.take().map_or(Poll::Pending, Poll::Ready)
    }
}

const ODD_TEXT: &str = "a value that is no text";

/// Ways to panic, and the text that tells of each.
const WAYS: [(&str, &str); 5] = [
    ("first poll", "boom"),
    ("later poll", "boom"),
    ("drop inside", "in drop"),
    ("number", ODD_TEXT),
    ("bomb", ODD_TEXT),
];

async fn panic_by(way: String) {
    match way.as_str() {
        "first poll" => panic!("boom"),
        "later poll" => {
            for _ in 0..3 {
                yield_now().await;
            }
            panic!("boom")
        }
        "drop inside" => drop(Bomb),
        "number" => panic_any(7_u8),
        _ => panic_any(Bomb),
    }
}

const SINGLE: HandlerId = HandlerId::new(200);
const SINGLE_CLOSURE: HandlerId = HandlerId::new(201);
const SINGLE_DROP: HandlerId = HandlerId::new(202);
const SINGLE_ABORTED: HandlerId = HandlerId::new(203);
const STREAM: HandlerId = HandlerId::new(210);
const STREAM_CLOSURE: HandlerId = HandlerId::new(211);
const STREAM_DROP: HandlerId = HandlerId::new(212);
const STREAM_CANCELLED: HandlerId = HandlerId::new(213);

type Single = Result<Payload, HandlerError>;
type Stream = Result<(), HandlerError>;

/// A handler that is called and panics before there is a future.
fn early<T>(fails: bool) -> std::future::Pending<T> {
    if fails {
        panic!("boom");
    }
    std::future::pending()
}

fn bad(builder: Builder, steps: &Steps) -> Builder {
    let capacity = Capacity::new(0, 1);
    let (one, other) = (steps.clone(), steps.clone());
    probe(builder)
        .single(SINGLE, |request| async move {
            panic_by(text(request.payload())).await;
            Ok(Payload::Absent)
        })
        .single(SINGLE_CLOSURE, |_| early::<Single>(true))
        .single(SINGLE_DROP, |_| {
            DropsBadly(Some(Single::Ok("fine".into())), Bomb)
        })
        .register(
            SingleHandler::new(SINGLE_ABORTED, move |_| {
                one.at("began");
                DropsBadly(None::<Single>, Bomb)
            })
            .abort_on_cancel(),
        )
        .stream(STREAM, capacity, |call| async move {
            call.send("item").await?;
            panic_by(text(call.payload())).await;
            Ok(())
        })
        .stream(STREAM_CLOSURE, capacity, |_| early::<Stream>(true))
        .stream(STREAM_DROP, capacity, |_| {
            DropsBadly(Some(Stream::Ok(())), Bomb)
        })
        .stream(STREAM_CANCELLED, capacity, move |_| {
            other.at("began");
            DropsBadly(None::<Stream>, Bomb)
        })
}

async fn single_fails(peer: &Connection, handler: HandlerId, request: &str, why: &str) {
    let answer = peer.request(handler, request.to_owned()).timeout(LONG);
    let expected = format!("handleMessages: panic recovered: {why}");
    assert_text(&answer.await.unwrap_err(), &expected);
}

async fn stream_fails(peer: &Connection, handler: HandlerId, request: &str, why: &str) {
    let open = peer.stream(handler, OUT_1, request.to_owned());
    let (items, end) = drain(&mut open.await.unwrap()).await;
    let sent = usize::from(handler == STREAM);
    assert_eq!(items.len(), sent);
    assert_text(&end.unwrap(), &format!("handler panic: {why}"));
}

async fn every_kind(nodes: Nodes, mut reached: Reached) {
    let peer = nodes.a_to_b();
    let others = Others::begin(&nodes).await;
    for (way, why) in WAYS {
        single_fails(&peer, SINGLE, way, why).await;
        stream_fails(&peer, STREAM, way, why).await;
    }
    for (single, stream, why) in [
        (SINGLE_CLOSURE, STREAM_CLOSURE, "boom"),
        (SINGLE_DROP, STREAM_DROP, "in drop"),
    ] {
        single_fails(&peer, single, "x", why).await;
        stream_fails(&peer, stream, "x", why).await;
    }
    others.end().await;
    nodes.settled().await;
    assert_eq!(panics(&nodes), 14);

    // Where the caller has gone nobody hears of it.
    let others = Others::begin(&nodes).await;
    let call = peer.request(SINGLE_ABORTED, "x").timeout(LONG);
    let call = tokio::spawn(call.into_future());
    reached.expect("began").await;
    call.abort();
    let stream = peer.stream(STREAM_CANCELLED, OUT_1, "x").await.unwrap();
    reached.expect("began").await;
    drop(stream);
    others.end().await;
    nodes.settled().await;
    assert_eq!(panics(&nodes), 16);
    let answer = peer.request(ECHO, "fine").timeout(LONG).await;
    assert_eq!(answer.unwrap(), Payload::from("fine"));
}

#[tokio::test]
async fn c23_panics_of_every_kind_are_that_calls_outcome() {
    let (steps, reached) = steps();
    every_kind(Nodes::tcp(|builder| bad(builder, &steps)).await, reached).await;
}

#[tokio::test(start_paused = true)]
async fn c23_panics_of_every_kind_are_that_calls_outcome_pair() {
    let (steps, reached) = steps();
    every_kind(Nodes::memory(|builder| bad(builder, &steps)).await, reached).await;
}
