//! What handlers see, and what they may do to others: nothing.

mod probe;

use std::{
    future::IntoFuture,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use futures_util::future::join_all;
use grid_transport::{CallError, Connection, HandlerId, Payload, Settings, SingleHandler, testing};
use probe::*;
use tokio::{
    sync::{Notify, mpsc},
    task::JoinSet,
    time::Instant,
};

#[tokio::test(start_paused = true)]
async fn handlers_see_who_calls_and_for_how_long() {
    let (sender, mut seen) = mpsc::unbounded_channel();
    const LOOK: HandlerId = HandlerId::new(200);
    let pair = testing::pair(|builder| {
        let sender = sender.clone();
        builder.register(
            SingleHandler::new(LOOK, move |request| {
                sender.send(request.context().clone()).unwrap();
                async { Ok(Payload::Absent) }
            })
            .subroute("disk1"),
        )
    })
    .await
    .unwrap();
    let now = Instant::now();
    let peer = pair.b_to_a().subroute("disk1");
    peer.request(LOOK, "x")
        .timeout(Duration::from_secs(7))
        .await
        .unwrap();
    let context = seen.recv().await.unwrap();
    assert_eq!(context.caller(), testing::NAMES[1]);
    assert_eq!(context.handler(), LOOK);
    assert_eq!(context.subroute(), Some("disk1"));
    let deadline = Instant::from_std(context.deadline().unwrap()) - now;
    assert!(
        (6_900..7_100).contains(&deadline.as_millis()),
        "{deadline:?}"
    );
    assert!(!context.is_cancelled());
}

/// They come with one read, where what is kept of a call serves the next one of the same handler, and of no other.
#[tokio::test(start_paused = true)]
async fn calls_at_once_run_each_its_own_handler() {
    let pair = testing::pair(probe).await.unwrap();
    let handlers = [ECHO, EMPTY, ECHO, ECHO, EMPTY, EMPTY, ECHO];
    let calls = handlers.map(|handler| pair.a_to_b().request(handler, "x").into_future());
    let answers = ends(join_all(calls)).await;
    for (handler, answer) in handlers.into_iter().zip(answers) {
        let wanted: &[u8] = if handler == ECHO { b"x" } else { b"" };
        assert_eq!(answer.unwrap().as_slice(), wanted, "{handler}");
    }
}

/// A payload whose owner asks the link for its numbers when it is dropped, which takes the lock.
struct Curious {
    bytes: Vec<u8>,
    peer: Connection,
    asked: Arc<AtomicUsize>,
}

impl AsRef<[u8]> for Curious {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Curious {
    fn drop(&mut self) {
        drop(self.peer.stats());
        self.asked.fetch_add(1, Ordering::SeqCst);
    }
}

// proves: I17
#[tokio::test(start_paused = true)]
async fn payloads_are_dropped_where_their_owners_may_use_the_link() {
    let pair = testing::pair(probe).await.unwrap();
    let peer = pair.a_to_b();
    let asked = Arc::new(AtomicUsize::new(0));
    let curious = || {
        Payload::from(Bytes::from_owner(Curious {
            bytes: vec![7; 1 << 20],
            peer: peer.clone(),
            asked: asked.clone(),
        }))
    };
    let [a, b] = testing::NAMES;
    pair.net.freeze(a, b, true);
    let mut calls = JoinSet::new();
    for _ in 0..20 {
        calls.spawn(peer.request(ECHO, curious()).into_future());
    }
    while peer.stats().open_requests < 20 {
        tokio::task::yield_now().await;
    }
    // One that is given up while it waits in the queue, the others are lost with the link.
    tokio::select! {
        biased;
        answer = peer.request(ECHO, curious()).into_future() => panic!("{answer:?}"),
        () = tokio::task::yield_now() => {}
    }
    pair.cut();
    pair.net.freeze(a, b, false);
    while let Some(call) = calls.join_next().await {
        let error = call.unwrap().unwrap_err();
        assert!(matches!(error, CallError::Disconnected { .. }), "{error:?}");
    }
    pair.connected().await.unwrap();
    assert_eq!(asked.load(Ordering::SeqCst), 21);
    settled(&pair).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_handler_that_does_not_come_out_of_its_poll_is_left_behind() {
    const STUCK: HandlerId = HandlerId::new(204);
    let (release, gate) = std::sync::mpsc::channel::<()>();
    let gate = Arc::new(std::sync::Mutex::new(gate));
    let (began, ended) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let settings = Settings::new().teardown(Duration::from_millis(100));
    let pair = testing::pair(|builder| {
        let (gate, began, ended) = (gate.clone(), began.clone(), ended.clone());
        probe(builder)
            .settings(settings.clone())
            .stream(STUCK, BOTH_1, move |_call| {
                let (gate, began, ended) = (gate.clone(), began.clone(), ended.clone());
                async move {
                    // The first poll is where the reader stands; the second has a task of its own.
                    tokio::task::yield_now().await;
                    began.notify_one();
                    gate.lock().unwrap().recv().unwrap();
                    ended.notify_one();
                    Ok(())
                }
            })
    })
    .await
    .unwrap();
    let mut stream = pair.a_to_b().stream(STUCK, BOTH_1, "x").await.unwrap();
    began.notified().await;
    pair.cut();
    let error = stream.recv().await.unwrap().unwrap_err();
    assert!(matches!(error, CallError::Disconnected { .. }), "{error:?}");
    // The link is up again though the handler still is inside its poll.
    pair.a_to_b()
        .request(ECHO, "x")
        .wait_ready()
        .timeout(LONG)
        .await
        .unwrap();
    assert_eq!(pair.b_to_a().stats().abandoned_handlers, 1);
    assert_eq!(pair.b_to_a().stats().running_handlers, 1);
    release.send(()).unwrap();
    ended.notified().await;
    pair.shutdown(LONG).await;
}
