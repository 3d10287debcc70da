//! Dropping is cancelling: what the other side sees of it, and what is left.

#[path = "common/pairs.rs"]
mod pairs;
mod probe;

use std::{future::IntoFuture, sync::Arc, time::Duration};

use grid_transport::{
    Builder, CallError, Capacity, HandlerId, Payload, SendError, SingleHandler, StreamHandler,
    testing,
};
use probe::*;
use tokio::{
    sync::{Notify, mpsc},
    time::{Instant, timeout},
};

const SLOW: HandlerId = HandlerId::new(200);
const ABORT: HandlerId = HandlerId::new(201);
const DETACHED: HandlerId = HandlerId::new(202);
const ATTACHED: HandlerId = HandlerId::new(203);

/// Tells when a handler began, saw its token, ended, or was dropped before that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Seen {
    Began,
    Token,
    Ended,
    Dropped,
}

struct Probe(mpsc::UnboundedSender<Seen>, bool);

impl Probe {
    fn ended(mut self) {
        self.1 = true;
        self.0.send(Seen::Ended).unwrap();
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        if !self.1 {
            // Nobody listens at the end of a test.
            let _ = self.0.send(Seen::Dropped);
        }
    }
}

struct Watched<P> {
    pair: P,
    seen: mpsc::UnboundedReceiver<Seen>,
    release: Arc<Notify>,
}

impl<P> Watched<P> {
    async fn expect(&mut self, what: Seen) {
        let seen = timeout(LONG, self.seen.recv())
            .await
            .expect("nothing happened");
        assert_eq!(seen, Some(what));
    }
}

/// A node with handlers that tell what they see, and wait for their release.
fn telling(node: Builder, sender: &mpsc::UnboundedSender<Seen>, release: &Arc<Notify>) -> Builder {
    let single = |id| {
        let (sender, release) = (sender.clone(), release.clone());
        SingleHandler::new(id, move |request| {
            let probe = Probe(sender.clone(), false);
            let release = release.clone();
            async move {
                probe.0.send(Seen::Began).unwrap();
                request.context().cancelled().await;
                probe.0.send(Seen::Token).unwrap();
                release.notified().await;
                probe.ended();
                Ok(Payload::Absent)
            }
        })
    };
    let stream = |id| {
        let (sender, release) = (sender.clone(), release.clone());
        StreamHandler::new(id, Capacity::new(1, 1), move |mut call| {
            let probe = Probe(sender.clone(), false);
            let release = release.clone();
            async move {
                probe.0.send(Seen::Began).unwrap();
                call.context().cancelled().await;
                probe.0.send(Seen::Token).unwrap();
                assert!(call.recv().await.unwrap().is_err());
                assert!(matches!(call.send("x").await, Err(SendError::Call(_))));
                release.notified().await;
                probe.ended();
                Ok(())
            }
        })
    };
    probe(node)
        .register(single(SLOW))
        .register(single(ABORT).abort_on_cancel())
        .register(stream(DETACHED).detached())
        .register(stream(ATTACHED))
}

async fn watched() -> Watched<testing::Pair> {
    let (sender, seen) = mpsc::unbounded_channel();
    let release = Arc::new(Notify::new());
    let pair = testing::pair(|node| telling(node, &sender, &release));
    Watched {
        pair: pair.await.unwrap(),
        seen,
        release,
    }
}

async fn watched_over_tcp() -> Watched<pairs::TcpPair> {
    let (sender, seen) = mpsc::unbounded_channel();
    let release = Arc::new(Notify::new());
    let pair = pairs::tcp(|node| telling(node, &sender, &release)).await;
    Watched {
        pair,
        seen,
        release,
    }
}

#[tokio::test(start_paused = true)]
async fn a_dropped_request_is_told_and_its_handler_runs_to_its_end() {
    let mut w = watched().await;
    let peer = w.pair.a_to_b();
    let call = tokio::spawn(peer.request(SLOW, "x").into_future());
    w.expect(Seen::Began).await;
    assert_eq!(peer.stats().open_requests, 1);
    call.abort();
    w.expect(Seen::Token).await;
    assert_eq!(peer.stats().open_requests, 0);
    assert_eq!(w.pair.b_to_a().stats().running_handlers, 1);
    w.release.notify_one();
    w.expect(Seen::Ended).await;
    settled(&w.pair).await;
    assert_eq!(w.pair.b_to_a().stats().discarded_answers, 1);
    assert_eq!(w.pair.b_to_a().stats().running_handlers, 0);
}

#[tokio::test(start_paused = true)]
async fn abort_on_cancel_drops_the_handler() {
    let mut w = watched().await;
    let call = tokio::spawn(w.pair.a_to_b().request(ABORT, "x").into_future());
    w.expect(Seen::Began).await;
    call.abort();
    w.expect(Seen::Dropped).await;
    settled(&w.pair).await;
}

#[tokio::test]
async fn a_dropped_request_drops_only_a_handler_that_wants_it_over_tcp() {
    let mut w = watched_over_tcp().await;
    for (from, to) in [
        (w.pair.a_to_b(), w.pair.b_to_a()),
        (w.pair.b_to_a(), w.pair.a_to_b()),
    ] {
        let call = tokio::spawn(from.request(ABORT, "x").into_future());
        w.expect(Seen::Began).await;
        call.abort();
        w.expect(Seen::Dropped).await;

        let call = tokio::spawn(from.request(SLOW, "x").into_future());
        w.expect(Seen::Began).await;
        call.abort();
        w.expect(Seen::Token).await;
        assert_eq!(to.stats().running_handlers, 1);
        w.release.notify_one();
        w.expect(Seen::Ended).await;
        // That was a word about the call: the link is the same.
        assert_eq!(text(&from.request(ECHO, "x").await.unwrap()), "x");
        assert_eq!((from.stats().reconnects, to.stats().reconnects), (0, 0));
        wait_while(|| to.stats().running_handlers > 0).await;
    }
    w.pair.shutdown(Duration::from_secs(1)).await;
}

#[tokio::test(start_paused = true)]
async fn a_passed_deadline_fires_the_token_without_a_word_of_the_caller() {
    let mut w = watched().await;
    let deadline = Duration::from_millis(50);
    let error = w
        .pair
        .a_to_b()
        .request(SLOW, "x")
        .timeout(deadline)
        .await
        .unwrap_err();
    assert!(matches!(error, CallError::Deadline), "{error:?}");
    w.expect(Seen::Began).await;
    w.expect(Seen::Token).await;
    w.release.notify_one();
    w.expect(Seen::Ended).await;
    settled(&w.pair).await;
}

#[tokio::test(start_paused = true)]
async fn a_dropped_stream_drops_its_handler() {
    let mut w = watched().await;
    let stream = w.pair.a_to_b().stream(ATTACHED, BOTH_1, "x").await.unwrap();
    w.expect(Seen::Began).await;
    drop(stream);
    w.expect(Seen::Dropped).await;
    settled(&w.pair).await;
}

#[tokio::test(start_paused = true)]
async fn either_half_alone_cancels_unless_it_is_done() {
    let mut w = watched().await;
    let peer = w.pair.a_to_b();
    let (sender, mut receiver) = peer.stream(ATTACHED, BOTH_1, "x").await.unwrap().split();
    w.expect(Seen::Began).await;
    drop(sender);
    w.expect(Seen::Dropped).await;
    assert!(matches!(
        receiver.recv().await,
        Some(Err(CallError::Cancelled))
    ));

    let (sender, receiver) = peer.stream(ATTACHED, BOTH_1, "x").await.unwrap().split();
    w.expect(Seen::Began).await;
    drop(receiver);
    w.expect(Seen::Dropped).await;
    let error = sender.send("x").await.unwrap_err();
    assert!(
        matches!(error.as_call(), Some(CallError::Cancelled)),
        "{error:?}"
    );

    let (mut sender, mut receiver) = peer.stream(COUNT, BOTH_1, "x").await.unwrap().split();
    sender.send("x").await.unwrap();
    sender.finish();
    drop(sender);
    assert_eq!(receiver.recv().await.unwrap().unwrap(), Payload::from("1"));
    assert!(receiver.recv().await.is_none());
    settled(&w.pair).await;
}

#[tokio::test(start_paused = true)]
async fn a_detached_stream_finds_its_ends_failing_and_finishes() {
    let mut w = watched().await;
    let stream = w.pair.a_to_b().stream(DETACHED, BOTH_1, "x").await.unwrap();
    w.expect(Seen::Began).await;
    drop(stream);
    w.expect(Seen::Token).await;
    assert_eq!(w.pair.b_to_a().stats().running_handlers, 1);
    w.release.notify_one();
    w.expect(Seen::Ended).await;
    settled(&w.pair).await;
}

#[tokio::test(start_paused = true)]
async fn a_cancel_wakes_whoever_sends_or_receives() {
    let w = watched().await;
    let stream = w
        .pair
        .a_to_b()
        .stream(NEVER_READS, BOTH_1, "x")
        .await
        .unwrap();
    let handle = stream.cancel_handle();
    let (sender, mut receiver) = stream.split();
    sender.send("fills").await.unwrap();
    let sending = tokio::spawn(async move { sender.send("waits").await });
    let receiving = tokio::spawn(async move { receiver.recv().await });
    tokio::task::yield_now().await;
    handle.cancel();
    let error = sending.await.unwrap().unwrap_err();
    assert!(
        matches!(error.as_call(), Some(CallError::Cancelled)),
        "{error:?}"
    );
    assert!(matches!(
        receiving.await.unwrap(),
        Some(Err(CallError::Cancelled))
    ));
    settled(&w.pair).await;
}

// proves: I15
#[tokio::test(start_paused = true)]
async fn a_detached_handler_outlives_three_reconnects_and_delays_none() {
    let mut w = watched().await;
    let mut calls = Vec::new();
    for reconnects in 1..=3 {
        w.pair.connected().await.unwrap();
        calls.push(tokio::spawn(
            w.pair.a_to_b().request(SLOW, "x").into_future(),
        ));
        w.expect(Seen::Began).await;
        let began = Instant::now();
        w.pair.cut();
        w.expect(Seen::Token).await;
        w.pair
            .a_to_b()
            .watch()
            .wait_for(|state| !state.is_connected())
            .await
            .unwrap();
        w.pair.connected().await.unwrap();
        let took = began.elapsed();
        assert!(took < Duration::from_secs(3), "reconnected after {took:?}");
        assert_eq!(w.pair.a_to_b().stats().reconnects, reconnects);
        assert_eq!(
            w.pair.b_to_a().stats().running_handlers,
            usize::try_from(reconnects).unwrap()
        );
    }
    for call in calls {
        let error = call.await.unwrap().unwrap_err();
        assert!(matches!(error, CallError::Disconnected { .. }), "{error:?}");
    }
    w.release.notify_waiters();
    for _ in 0..3 {
        w.expect(Seen::Ended).await;
    }
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
    assert_eq!(w.pair.b_to_a().stats().discarded_answers, 3);
    // Their answers went nowhere: calls with the numbers that they had are answered by others.
    for call in 0..100 {
        let answer = w
            .pair
            .a_to_b()
            .request(ECHO, call.to_string())
            .await
            .unwrap();
        assert_eq!(text(&answer), call.to_string());
    }
    settled(&w.pair).await;
    assert_eq!(w.pair.b_to_a().stats().running_handlers, 0);
}

// proves: I16
#[tokio::test(start_paused = true)]
async fn attached_handlers_are_gone_before_the_next_connection() {
    let mut w = watched().await;
    let stream = w.pair.a_to_b().stream(ATTACHED, BOTH_1, "x").await.unwrap();
    w.expect(Seen::Began).await;
    w.pair.cut();
    w.expect(Seen::Dropped).await;
    w.pair.connected().await.unwrap();
    assert_eq!(w.pair.b_to_a().stats().running_handlers, 0);
    drop(stream);
    settled(&w.pair).await;
}
