//! Requests at the edges: no room, over a limit, nobody left, wakers and owners that do what they like.

use std::{
    future::{Future, IntoFuture},
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    sync::{
        Arc, OnceLock, Weak,
        atomic::{AtomicBool, AtomicUsize, Ordering},
        mpsc,
    },
    task::{Context, Wake, Waker},
    thread,
    time::Duration,
};

use bytes::Bytes;
use futures_util::FutureExt;
use grid_proto::{
    HandlerId, Payload,
    conn::{NewRequest, SubmitError},
};
use tokio::{
    sync::mpsc::{UnboundedSender, unbounded_channel},
    task::JoinSet,
};

use super::Session;
use crate::{Builder, CallError, Request, Settings, SingleHandler, testing};

const ECHO: HandlerId = HandlerId::new(200);
const WAITS: HandlerId = HandlerId::new(201);
const KEEPS: HandlerId = HandlerId::new(202);

/// How long a test waits for what happens at once, however busy the machine is.
const PATIENCE: Duration = Duration::from_secs(30);

fn echo(builder: Builder) -> Builder {
    builder.single(ECHO, |request: Request| async move {
        Ok(request.into_payload())
    })
}

fn session(of: &crate::Manager, remote: &str) -> Arc<Session> {
    let link = of.node().links.get(remote).expect("a link");
    link.session().expect("a session")
}

#[tokio::test]
async fn a_request_without_room_keeps_what_it_was_to_send_pair() {
    let pair = testing::pair(echo).await.unwrap();
    let session = session(&pair.a, pair.b.local());
    let budget = pair.a.node().budgets.queued.clone();
    // Three times as much as there may be: beyond the part that is kept for the link too.
    let full = [(); 3].map(|()| budget.charge_over(budget.limit()));
    for payload in [Payload::from("kept"), Payload::from(""), Payload::Absent] {
        let mut new = NewRequest::new(ECHO, payload.clone());
        let mut waker = Some(Waker::noop().clone());
        let refused = session.request(&mut new, &mut waker);
        assert!(matches!(refused, Err(SubmitError::QueueFull)));
        assert_eq!(new.payload, payload);
        assert!(waker.is_some());
    }
    drop(full);
}

#[tokio::test(start_paused = true)]
async fn an_urgent_call_that_found_its_reserve_taken_is_woken_by_that_and_not_by_room_for_all_pair()
{
    const LIMIT: usize = 1 << 20;
    let settings = Settings::new().max_queued(LIMIT);
    let pair = testing::pair(|node| echo(node).settings(settings.clone())).await;
    let pair = pair.unwrap();
    let session = session(&pair.a, pair.b.local());
    let ask = |len, urgent| {
        let mut new = NewRequest::new(ECHO, vec![7; len].into());
        new.urgent = urgent;
        session.request(&mut new, &mut Some(Waker::noop().clone()))
    };
    let _bulk = ask(LIMIT, false).unwrap();
    let urgent: Vec<_> = std::iter::from_fn(|| ask(10_000, true).ok()).collect();
    assert!(urgent.len() > 20);
    let mut room = pin!(session.monitor.room.notified());
    let mut left = Vec::new();
    while room.as_mut().now_or_never().is_none() {
        // As the writer does, which has no turn here.
        session.with_clock(|core, now| core.conn.poll_transmit(now, &mut left, 1));
    }
    assert!((urgent.len() / 2..urgent.len()).contains(&left.len()));
    assert!(!session.monitor.lock().conn.has_room());
    assert!(ask(1, false).is_err() && ask(10_000, true).is_ok());
}

/// Other links of a node fill and empty what they share with this one, whenever they like.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_while_other_links_take_the_room_pair() {
    let pair = testing::pair(echo).await.unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let nodes = [pair.a.node().clone(), pair.b.node().clone()];
    let others = nodes.map(|node| {
        let stop = stop.clone();
        thread::spawn(move || {
            let budget = node.budgets.queued.clone();
            while !stop.load(Ordering::Relaxed) {
                let held = [(); 3].map(|()| budget.charge_over(budget.limit()));
                (0..20).for_each(|_| std::hint::spin_loop());
                drop(held);
                node.offer_room();
                (0..200).for_each(|_| std::hint::spin_loop());
            }
        })
    });
    let peer = pair.a_to_b();
    for _ in 0..100 {
        let mut calls = JoinSet::new();
        for _ in 0..64 {
            let call = peer.request(ECHO, "precious").timeout(PATIENCE);
            calls.spawn(call.into_future());
        }
        while let Some(call) = calls.join_next().await {
            assert_eq!(call.unwrap().unwrap(), Payload::from("precious"));
        }
    }
    stop.store(true, Ordering::Relaxed);
    for thread in others {
        thread.join().unwrap();
    }
    let session = session(&pair.b, pair.a.local());
    assert_eq!(session.stats().serving_requests, 0);
}

/// Bytes whose owner asks the session something when it is dropped.
struct Curious {
    bytes: Vec<u8>,
    session: Arc<Session>,
    found: UnboundedSender<bool>,
}

impl AsRef<[u8]> for Curious {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Curious {
    fn drop(&mut self) {
        let session = self.session.clone();
        let (told, answer) = mpsc::channel();
        thread::spawn(move || {
            let _ = session.stats();
            let _ = told.send(());
        });
        let free = answer.recv_timeout(PATIENCE / 10).is_ok();
        let _ = self.found.send(free);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_sent_is_dropped_where_no_lock_is_held_pair() {
    let (found, mut free) = unbounded_channel();
    // Weak: the node has the handler, and what the handler has would keep the node.
    let served: Arc<OnceLock<Weak<Session>>> = Arc::default();
    let answers = {
        let (served, found) = (served.clone(), found.clone());
        move |builder| {
            let (served, found) = (served.clone(), found.clone());
            echo(builder).single(WAITS, move |request: Request| {
                let (served, found) = (served.clone(), found.clone());
                async move {
                    let long = request.payload().as_slice() == b"long";
                    if !long {
                        request.context().cancelled().await;
                    }
                    let session = served.get().and_then(Weak::upgrade).expect("it lives");
                    let len = if long { (64 << 20) + 1 } else { 9 };
                    Ok(Payload::from(Bytes::from_owner(Curious {
                        bytes: vec![7; len],
                        session,
                        found,
                    })))
                }
            })
        }
    };
    let pair = testing::pair(answers).await.unwrap();
    let of_b = Arc::downgrade(&session(&pair.b, pair.a.local()));
    assert!(served.set(of_b).is_ok());
    let peer = pair.a_to_b();

    let len = pair.a.node().settings.max_message + 1;
    let payload = Payload::from(Bytes::from_owner(Curious {
        bytes: vec![0; len],
        session: session(&pair.a, pair.b.local()),
        found,
    }));
    let error = peer.request(ECHO, payload).await.unwrap_err();
    assert!(matches!(error, CallError::TooLarge { .. }), "{error:?}");
    assert_eq!(free.recv().await, Some(true), "a request over the limit");

    let error = peer.request(WAITS, "long").await.unwrap_err();
    assert!(error.to_string().contains("over the limit"), "{error:?}");
    assert_eq!(free.recv().await, Some(true), "an answer over the limit");

    let call = peer.request(WAITS, "x").timeout(Duration::from_millis(50));
    assert!(matches!(call.await, Err(CallError::Deadline)));
    assert_eq!(
        free.recv().await,
        Some(true),
        "an answer that nobody waits for"
    );
}

/// Counts what wakes it, and panics.
struct Bad(AtomicUsize);

impl Wake for Bad {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
        panic!("a bad waker");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_waker_that_panics_takes_no_answer_from_others_pair() {
    let waits =
        |builder: Builder| builder.single(WAITS, |_request: Request| std::future::pending());
    let pair = testing::pair(waits).await.unwrap();
    let peer = pair.a_to_b();
    let bad = Arc::new(Bad(AtomicUsize::new(0)));
    let waker = Waker::from(bad.clone());
    let mut calls: Vec<_> = (0..2)
        .map(|_| Box::pin(peer.request(WAITS, "x").into_future()))
        .collect();
    for call in &mut calls {
        let polled = call.as_mut().poll(&mut Context::from_waker(&waker));
        assert!(polled.is_pending());
    }
    let mut others = JoinSet::new();
    for _ in 0..3 {
        others.spawn(peer.request(WAITS, "x").into_future());
    }
    while peer.stats().open_requests < 5 {
        tokio::task::yield_now().await;
    }
    pair.cut();
    while let Some(call) = others.join_next().await {
        let error = call.unwrap().unwrap_err();
        assert!(matches!(error, CallError::Disconnected { .. }), "{error:?}");
    }
    assert_eq!(bad.0.load(Ordering::SeqCst), 2);
    for mut call in calls {
        let polled = catch_unwind(AssertUnwindSafe(|| {
            call.as_mut().poll(&mut Context::from_waker(&waker))
        }));
        assert!(polled.unwrap().is_ready());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_context_that_outlives_its_request_knows_how_that_ended_pair() {
    let (contexts, mut kept) = unbounded_channel();
    let keeps = |builder: Builder| {
        let contexts = contexts.clone();
        let keep = move |request: Request| {
            let kept = contexts.send(request.context().clone());
            let answers = request.payload().as_slice() == b"answer";
            async move {
                assert!(kept.is_ok());
                if !answers {
                    std::future::pending::<()>().await;
                }
                Ok(Payload::Absent)
            }
        };
        builder.register(SingleHandler::new(KEEPS, keep).abort_on_cancel())
    };
    let pair = testing::pair(keeps).await.unwrap();
    let peer = pair.a_to_b();
    let served = session(&pair.b, pair.a.local());

    let call = tokio::spawn(peer.request(KEEPS, "x").into_future());
    let context = kept.recv().await.unwrap();
    call.abort();
    while served.stats().serving_requests > 0 {
        tokio::task::yield_now().await;
    }
    assert!(context.is_cancelled(), "it was cancelled");

    peer.request(KEEPS, "answer").await.unwrap();
    let context = kept.recv().await.unwrap();
    assert!(!context.is_cancelled(), "it was answered");

    let call = tokio::spawn(peer.request(KEEPS, "x").into_future());
    let context = kept.recv().await.unwrap();
    let watching = context.clone();
    let told = tokio::spawn(async move { watching.cancelled().await });
    while served.monitor.lock().watched.is_empty() {
        tokio::task::yield_now().await;
    }
    assert!(!context.is_cancelled());
    call.abort();
    told.await.unwrap();
    assert!(context.is_cancelled());
    drop(served);
    pair.cut();
    while pair
        .b
        .node()
        .links
        .get(pair.a.local())
        .unwrap()
        .session()
        .is_some()
    {
        tokio::task::yield_now().await;
    }
}
