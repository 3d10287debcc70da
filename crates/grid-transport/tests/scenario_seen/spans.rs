//! T01, T02: one span a call on each node.

use std::{
    future::IntoFuture,
    sync::{Arc, OnceLock, mpsc},
    thread,
    time::Duration,
};

use grid_transport::{
    CallError, Capacity, Connection, HandlerId, Manager, Request, SingleHandler, StreamHandler,
    testing::{self, Pair},
};
use tokio::{sync::Notify, time::timeout};
use tracing::Level;

use crate::{
    checks::{both, both_of_stream, check, ended, ended_early},
    node,
    probe::*,
    raw::PATIENCE,
    record::{Span, Spans},
};

pub(crate) const STUCK: HandlerId = HandlerId::new(200);
const BLOCKING: HandlerId = HandlerId::new(201);

/// Calls of every kind from one node to another, and their spans.
async fn calls(spans: &Spans, peer: &Connection, from: &str, to: &str) {
    let at = |(call, handle): &(Span, Span), handler, subroute| {
        check(call, from, to, handler, subroute);
        check(handle, to, from, handler, subroute);
    };
    peer.request(ECHO, "hello").await.unwrap();
    let pair = both(spans);
    at(&pair, ECHO, None);
    ended(&pair.0, 5, 5, "ok");
    ended(&pair.1, 5, 5, "ok");

    let routed = peer.subroute("subroute").subroute("1");
    routed.request(ECHO, "hello").await.unwrap();
    let pair = both(spans);
    at(&pair, ECHO, Some("subroute/1"));
    ended(&pair.0, "sub1:hello".len(), 5, "ok");
    ended(&pair.1, 5, "sub1:hello".len(), "ok");

    peer.request(FAIL, "no such disk").await.unwrap_err();
    let pair = both(spans);
    at(&pair, FAIL, None);
    ended(&pair.0, 0, 12, "remote");
    ended(&pair.1, 12, 0, "failed");
    assert_eq!(pair.0.get("error"), Some("no such disk"));
    assert_eq!(pair.1.get("error"), Some("no such disk"));

    peer.request(PANIC, "oh").await.unwrap_err();
    let pair = both(spans);
    ended(&pair.0, 0, 2, "remote");
    ended(&pair.1, 2, 0, "panicked");

    // A stream of items both ways; what was opened with counts too.
    let mut stream = peer.stream(TWO_WAY_100, BOTH_100, "abc").await.unwrap();
    for item in 0..10 {
        stream.send(vec![item; 100]).await.unwrap();
    }
    stream.finish();
    while let Some(item) = stream.recv().await {
        assert_eq!(item.unwrap().len(), 100);
    }
    // It has ended, although its handle is there.
    let pair = both_of_stream(spans);
    at(&pair, TWO_WAY_100, None);
    ended(&pair.0, 1_000, 1_003, "ok");
    ended(&pair.1, 1_003, 1_000, "ok");
    drop(stream);

    let mut stream = peer.stream(FAIL_AFTER, OUT_1, "2:oh").await.unwrap();
    while let Some(Ok(_)) = stream.recv().await {}
    let pair = both_of_stream(spans);
    at(&pair, FAIL_AFTER, None);
    ended(&pair.0, 8, 4, "remote");
    ended(&pair.1, 4, 8, "failed");
}

#[tokio::test(start_paused = true)]
async fn t01_a_call_gives_one_span_on_each_node_pair() {
    ends(async {
        let (spans, _guard) = Spans::capture(Level::DEBUG);
        let pair = pair().await;
        spans.clear();
        calls(&spans, &pair.a_to_b(), pair.a.local(), pair.b.local()).await;

        // Times are exact here.
        pair.a_to_b().request(WAIT, "1500").await.unwrap();
        let (call, handle) = both(&spans);
        assert_eq!(
            (call.number("duration"), handle.number("duration")),
            (1.5, 1.5)
        );

        // A deadline, which stops no single handler.
        let call = pair.a_to_b().request(WAIT, "9000");
        call.timeout(Duration::from_secs(2)).await.unwrap_err();
        assert_eq!(
            spans.named("grid.handle")[0].get("outcome"),
            None,
            "it runs"
        );
        // tidy: sleep: the handler takes that long, under paused time
        tokio::time::sleep(Duration::from_secs(8)).await;
        let (call, handle) = both(&spans);
        ended(&call, 0, 4, "deadline");
        assert_eq!(call.number("duration"), 2.0);
        ended(&handle, 4, 4, "ok");
        assert_eq!(handle.number("duration"), 9.0);

        // A stream that is dropped, a request that is dropped.
        let stream = pair.a_to_b().stream(WAITS, OUT_1, "x").await.unwrap();
        pair.a_to_b().request(ECHO, "fence").await.unwrap();
        drop(stream);
        pair.a_to_b().request(ECHO, "fence").await.unwrap();
        ended(&spans.stream("client"), 0, 1, "cancelled");
        ended_early(&spans.stream("server"));
        for name in ["grid.call", "grid.handle"] {
            assert_eq!(spans.named(name).len(), 2, "the fences");
        }
        spans.clear();
        let request = pair.a_to_b().request(WAIT, "100").into_future();
        assert!(timeout(Duration::from_millis(50), request).await.is_err());
        // tidy: sleep: the handler runs to its end, under paused time
        tokio::time::sleep(Duration::from_secs(1)).await;
        let (call, handle) = both(&spans);
        ended(&call, 0, 3, "cancelled");
        ended(&handle, 3, 3, "ok");
        // What was never awaited was no call.
        drop(pair.a_to_b().request(ECHO, "x"));
        assert!(spans.named("grid.call").is_empty());

        // No handler ran: there is a span where the call was made, and none where it was refused.
        let error = pair.a_to_b().request(UNKNOWN, "x").await.unwrap_err();
        assert!(matches!(error, CallError::UnknownHandler(_)));
        ended(&spans.one("grid.call"), 0, 1, "unknown_handler");
        assert!(spans.named("grid.handle").is_empty());
        spans.clear();
        pair.net.refuse(pair.a.local(), pair.b.local(), true);
        pair.cut();
        let gone = pair.a_to_b();
        gone.watch()
            .wait_for(|state| !state.is_connected())
            .await
            .unwrap();
        gone.request(ECHO, "x").await.unwrap_err();
        ended(&spans.one("grid.call"), 0, 0, "not_connected");
        spans.clear();
        let error = gone.stream(ITEMS, OUT_1, "x").await.unwrap_err();
        assert!(matches!(error, CallError::NotConnected { .. }));
        ended(&spans.stream("client"), 0, 0, "not_connected");
    })
    .await;
}

/// A task of its own, a limit that refuses, a blocking thread: one span each, whatever runs it.
#[tokio::test(start_paused = true)]
async fn t01_handlers_of_every_kind_give_one_span_pair() {
    ends(async {
        let (spans, _guard) = Spans::capture(Level::DEBUG);
        let release = Arc::new(Notify::new());
        let gate = release.clone();
        let pair = testing::pair(move |builder| {
            let gate = gate.clone();
            let waits = SingleHandler::new(STUCK, move |request| {
                let gate = gate.clone();
                async move {
                    gate.notified().await;
                    Ok(request.into_payload())
                }
            });
            let blocks = |request: Request| async move { Ok(request.into_payload()) };
            probe(builder)
                .register(waits.limit(1))
                .register(SingleHandler::new(BLOCKING, blocks).blocking())
        })
        .await
        .unwrap();
        spans.clear();
        // In a task of its own; its span begins with it and ends with it.
        let first = tokio::spawn(pair.a_to_b().request(STUCK, "x").into_future());
        wait_while(|| spans.named("grid.handle").is_empty()).await;
        let [running] = &spans.named("grid.handle")[..] else {
            panic!("one")
        };
        assert!(!running.closed && running.get("outcome").is_none());
        // Refused by its limit: no handler ran.
        pair.a_to_b().request(STUCK, "xx").await.unwrap_err();
        let [waiting, refused] = &spans.named("grid.call")[..] else {
            panic!("two")
        };
        assert!(!waiting.closed);
        ended(refused, 0, 2, "refused");
        assert_eq!(spans.named("grid.handle").len(), 1);
        release.notify_one();
        first.await.unwrap().unwrap();
        let handle = spans.one("grid.handle");
        ended(&handle, 1, 1, "ok");
        check(&handle, pair.b.local(), pair.a.local(), STUCK, None);
        spans.clear();
        // On a thread of its own.
        pair.a_to_b().request(BLOCKING, "abc").await.unwrap();
        let (call, handle) = both(&spans);
        ended(&call, 3, 3, "ok");
        ended(&handle, 3, 3, "ok");
        check(&handle, pair.b.local(), pair.a.local(), BLOCKING, None);
    })
    .await;
}

async fn tcp_calls(index: usize) {
    let (spans, _guard) = Spans::capture(Level::DEBUG);
    let nodes = node::pair(|_, builder| probe(builder)).await;
    let (from, to) = (&nodes[index], &nodes[1 - index]);
    let peer = node::link(from, to);
    node::connected(&peer).await;
    node::connected(&node::link(to, from)).await;
    assert_eq!(peer.stats().dials, index == 0);
    spans.clear();
    calls(&spans, &peer, from.local(), to.local()).await;
    for node in &nodes {
        node.shutdown(Duration::ZERO).await;
    }
}

#[tokio::test]
async fn t01_a_call_gives_one_span_on_each_node() {
    ends(async {
        tcp_calls(0).await;
    })
    .await;
}

#[tokio::test]
async fn t02_the_span_names_the_right_nodes_whoever_dialed() {
    ends(async {
        tcp_calls(0).await;
        tcp_calls(1).await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn t02_the_span_names_the_right_nodes_whoever_dialed_pair() {
    ends(async {
        let (spans, _guard) = Spans::capture(Level::DEBUG);
        let pair = pair().await;
        for (peer, from, to) in [
            (pair.a_to_b(), &pair.a, &pair.b),
            (pair.b_to_a(), &pair.b, &pair.a),
        ] {
            spans.clear();
            calls(&spans, &peer, from.local(), to.local()).await;
        }
        assert!(pair.a_to_b().stats().dials != pair.b_to_a().stats().dials);
    })
    .await;
}

/// Nothing is built for a subscriber that wants other things.
#[tokio::test(start_paused = true)]
async fn t01_who_is_not_interested_gets_none_pair() {
    ends(async {
        let (spans, _guard) = Spans::capture(Level::INFO);
        let pair = pair().await;
        pair.a_to_b().request(ECHO, "x").await.unwrap();
        let mut stream = pair.a_to_b().stream(ITEMS, OUT_1, "1").await.unwrap();
        while stream.recv().await.is_some() {}
        for name in ["grid.call", "grid.handle", "grid.stream", "grid.link"] {
            assert!(spans.named(name).is_empty(), "{name}");
        }
        assert!(!spans.events().is_empty(), "it does get events");
    })
    .await;
}

/// A subscriber is code of the user: it may look at the link, which takes the link's lock.
#[test]
fn t01_a_subscriber_may_look_at_the_link_pair() {
    let (done, finished) = mpsc::channel();
    // Where it can't, nothing ends, and this thread is left behind.
    thread::spawn(move || {
        let links: Arc<OnceLock<[Connection; 2]>> = Arc::default();
        let seen = links.clone();
        let (spans, _guard) = Spans::looking(Level::TRACE, move || {
            for link in seen.get().into_iter().flatten() {
                let _ = link.stats();
            }
        });
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(async {
            let pair: Pair = testing::pair(|builder| {
                probe(builder).register(
                    StreamHandler::new(STUCK, Capacity::new(0, 1), |_| std::future::pending())
                        .detached(),
                )
            })
            .await
            .unwrap();
            let _ = links.set([pair.a_to_b(), pair.b_to_a()]);
            spans.clear();
            calls(&spans, &pair.a_to_b(), pair.a.local(), pair.b.local()).await;
            drop(pair.a_to_b().stream(STUCK, OUT_1, "x").await.unwrap());
            let mut lost = pair.a_to_b().stream(STUCK, OUT_1, "x").await.unwrap();
            let waits = tokio::spawn(pair.a_to_b().request(WAIT, "1000").into_future());
            pair.a_to_b().request(ECHO, "fence").await.unwrap();
            pair.cut();
            assert!(lost.recv().await.unwrap().is_err());
            assert!(waits.await.unwrap().is_err());
            pair.connected().await.unwrap();
            let b: &Manager = &pair.b;
            b.remove_peer(pair.a.local()).unwrap();
            pair.shutdown(Duration::ZERO).await;
        });
        done.send(()).unwrap();
    });
    finished
        .recv_timeout(PATIENCE)
        .expect("a span was built, told or ended under the lock of the link");
}
