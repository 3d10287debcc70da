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
use grid_transport::{CallError, Connection, HandlerId, Payload, Settings, SingleHandler, testing};
use probe::*;
use tokio::{
    sync::{Notify, mpsc},
    task::JoinSet,
    time::Instant,
};

#[tokio::test(start_paused = true)]
async fn panics_are_that_calls_error() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("in drop");
        }
    }
    const ODD: HandlerId = HandlerId::new(200);
    const BOMB: HandlerId = HandlerId::new(201);
    const LATE: HandlerId = HandlerId::new(202);
    const CLOSURE: HandlerId = HandlerId::new(203);
    let pair = testing::pair(|builder| {
        probe(builder)
            .single(ODD, |_| async { std::panic::panic_any(7_u8) })
            .single(BOMB, |_| async {
                let _bomb = Bomb;
                Ok(Payload::Absent)
            })
            .single(LATE, |_| async {
                tokio::task::yield_now().await;
                panic!("late")
            })
            .single(CLOSURE, |_| {
                if true {
                    panic!("early");
                }
                async { Ok(Payload::Absent) }
            })
    })
    .await
    .unwrap();
    let peer = pair.a_to_b();
    for (handler, text) in [
        (PANIC, "boom"),
        (ODD, "a value that is no text"),
        (BOMB, "in drop"),
        (LATE, "late"),
        (CLOSURE, "early"),
    ] {
        let other = peer.request(WAIT, "20");
        let (error, other) = tokio::join!(
            peer.request(handler, "boom").into_future(),
            other.into_future()
        );
        let error = error.unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("handleMessages: panic recovered: {text}")
        );
        assert_eq!(other.unwrap(), Payload::from("20"));
    }
    assert_eq!(peer.stats().reconnects, 0);
    let panics: u64 = pair
        .b
        .handler_stats()
        .iter()
        .map(|stats| stats.panics)
        .sum();
    assert_eq!(panics, 5);
    settled(&pair).await;
}

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

#[tokio::test(start_paused = true)]
async fn a_handler_may_call_back_on_its_own_link() {
    const BACK: HandlerId = HandlerId::new(200);
    let (sender, mut peers) = mpsc::unbounded_channel::<tokio::sync::oneshot::Sender<Connection>>();
    let pair = testing::pair(|builder| {
        let sender = sender.clone();
        probe(builder).single(BACK, move |request| {
            let (reply, peer) = tokio::sync::oneshot::channel();
            sender.send(reply).unwrap();
            async move {
                let peer = peer.await?;
                Ok(peer.request(ECHO, request.into_payload()).await?)
            }
        })
    })
    .await
    .unwrap();
    let back = pair.b_to_a();
    let serve = async {
        peers.recv().await.unwrap().send(back).unwrap();
    };
    let peer = pair.a_to_b();
    let (answer, ()) = tokio::join!(peer.request(BACK, "round").into_future(), serve);
    assert_eq!(answer.unwrap(), Payload::from("round"));
    settled(&pair).await;
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

#[tokio::test]
async fn a_handler_that_blocks_holds_up_nobody_else() {
    const BLOCK: HandlerId = HandlerId::new(200);
    let (release, gate) = std::sync::mpsc::channel::<()>();
    let gate = Arc::new(std::sync::Mutex::new(gate));
    let pair = testing::pair(|builder| {
        let gate = gate.clone();
        probe(builder).register(
            SingleHandler::new(BLOCK, move |request| {
                let gate = gate.clone();
                async move {
                    gate.lock().unwrap().recv().unwrap();
                    Ok(request.into_payload())
                }
            })
            .blocking(),
        )
    })
    .await
    .unwrap();
    let peer = pair.a_to_b();
    let blocked = tokio::spawn(peer.request(BLOCK, "x").timeout(LONG).into_future());
    for _ in 0..100 {
        peer.request(ECHO, "x").timeout(LONG).await.unwrap();
    }
    assert!(!blocked.is_finished());
    release.send(()).unwrap();
    assert_eq!(blocked.await.unwrap().unwrap(), Payload::from("x"));
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
