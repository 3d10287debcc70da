//! How a node ends: nothing new begins, what is under way comes to its end, the last byte arrives.

mod probe;

use std::{future::IntoFuture, sync::Arc, time::Duration};

use grid_transport::{
    CallError, HandlerId, LinkCause, Manager, NoAuth, Payload, Refusal, SingleHandler,
    StreamHandler,
    testing::{self, NAMES, Net},
};
use probe::*;
use tokio::{
    sync::{Notify, mpsc},
    time::{Instant, timeout},
};

const GATED: HandlerId = HandlerId::new(200);
const DETACHED: HandlerId = HandlerId::new(201);
const HOLDING: HandlerId = HandlerId::new(202);
const NEVER: HandlerId = HandlerId::new(203);

struct Gated {
    pair: testing::Pair,
    began: mpsc::UnboundedReceiver<()>,
    release: Arc<Notify>,
}

/// A handler that answers 1 MiB once it is released, and a detached stream that ends then.
async fn gated() -> Gated {
    let (sender, began) = mpsc::unbounded_channel();
    let release = Arc::new(Notify::new());
    let pair = testing::pair(|builder| {
        let (sender, release) = (sender.clone(), release.clone());
        let (sender2, release2) = (sender.clone(), release.clone());
        probe(builder)
            .register(SingleHandler::new(GATED, move |_| {
                let (sender, release) = (sender.clone(), release.clone());
                async move {
                    sender.send(()).unwrap();
                    release.notified().await;
                    Ok(vec![7; 1 << 20].into())
                }
            }))
            .register(
                StreamHandler::new(DETACHED, OUT_1, move |call| {
                    let (sender, release) = (sender2.clone(), release2.clone());
                    async move {
                        sender.send(()).unwrap();
                        release.notified().await;
                        drop(call);
                        Ok(())
                    }
                })
                .detached(),
            )
    })
    .await
    .unwrap();
    Gated {
        pair,
        began,
        release,
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_under_way_ends_and_nothing_new_begins() {
    let mut g = gated().await;
    let call = tokio::spawn(g.pair.a_to_b().request(GATED, "x").into_future());
    g.began.recv().await.unwrap();

    let b = g.pair.b.clone();
    let shutdown = tokio::spawn(async move { b.shutdown(LONG).await });
    tokio::task::yield_now().await;
    let own = g.pair.b_to_a().request(ECHO, "x").await.unwrap_err();
    assert!(matches!(own, CallError::ShuttingDown), "{own:?}");
    let refused = g.pair.a_to_b().request(ECHO, "x").await.unwrap_err();
    assert!(
        matches!(refused, CallError::Refused(Refusal::ShuttingDown)),
        "{refused:?}"
    );
    assert!(refused.is_retryable() && !refused.may_have_executed());
    let mut stream = g.pair.a_to_b().stream(ITEMS, OUT_1, "1").await.unwrap();
    let refused = stream.recv().await.unwrap().unwrap_err();
    assert!(
        matches!(refused, CallError::Refused(Refusal::ShuttingDown)),
        "{refused:?}"
    );
    assert!(!shutdown.is_finished());

    g.release.notify_one();
    let drained = shutdown.await.unwrap();
    assert_eq!(
        (drained.complete, drained.calls, drained.handlers),
        (true, 0, 0)
    );
    // Every byte of the answer had left before the node was gone.
    let answer = call.await.unwrap().unwrap();
    assert!(answer.as_slice() == vec![7; 1 << 20]);
    let gone = g
        .pair
        .a_to_b()
        .watch()
        .wait_for(|state| !state.is_connected())
        .await
        .unwrap()
        .clone();
    let cause = gone.last_cause().unwrap();
    assert!(
        matches!(
            **cause,
            LinkCause::ClosedByPeer {
                code: Some(1001),
                ..
            }
        ),
        "{cause:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn grace_ends_and_so_does_what_still_runs() {
    let mut g = gated().await;
    let call = tokio::spawn(g.pair.a_to_b().request(GATED, "x").into_future());
    g.began.recv().await.unwrap();
    let detached = g.pair.a_to_b().stream(DETACHED, OUT_1, "x").await.unwrap();
    g.began.recv().await.unwrap();
    drop(detached);
    let own = tokio::spawn(g.pair.b_to_a().request(WAIT, "60000").into_future());
    tokio::task::yield_now().await;

    let began = Instant::now();
    let drained = g.pair.b.shutdown(Duration::from_secs(7)).await;
    assert_eq!(began.elapsed().as_secs(), 7);
    assert_eq!(
        (drained.complete, drained.calls, drained.handlers),
        (false, 1, 2)
    );
    let error = call.await.unwrap().unwrap_err();
    assert!(matches!(error, CallError::Disconnected { .. }), "{error:?}");
    let error = own.await.unwrap().unwrap_err();
    assert!(matches!(error, CallError::ShuttingDown), "{error:?}");
    let late = g.pair.b_to_a();
    assert!(late.state().is_closed());
    assert!(matches!(
        late.request(ECHO, "x").await,
        Err(CallError::ShuttingDown)
    ));
    assert_eq!(late.stats().running_handlers, 0);
}

#[tokio::test(start_paused = true)]
async fn a_detached_handler_is_waited_for() {
    let mut g = gated().await;
    drop(g.pair.a_to_b().stream(DETACHED, OUT_1, "x").await.unwrap());
    drop(g.pair.a_to_b().request(ECHO, "fence").await.unwrap());
    let stream = g.pair.a_to_b().stream(DETACHED, OUT_1, "x").await.unwrap();
    while g.began.try_recv().is_err() {
        tokio::task::yield_now().await;
    }
    drop(stream);
    g.pair.a_to_b().request(ECHO, "fence").await.unwrap();
    let running = g.pair.b_to_a().stats().running_handlers;
    assert!(running > 0);
    let b = g.pair.b.clone();
    let shutdown = tokio::spawn(async move { b.shutdown(LONG).await });
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
    assert!(!shutdown.is_finished());
    for _ in 0..running {
        g.release.notify_one();
        tokio::task::yield_now().await;
    }
    assert!(shutdown.await.unwrap().complete);
}

#[tokio::test(start_paused = true)]
async fn waiting_for_a_link_ends_at_once() {
    let net = Net::new();
    let names = NAMES;
    let a = testing::node_on(&net, names[0], &names, probe).unwrap();
    let peer = a.connection(names[1]).unwrap();
    let connected = tokio::spawn({
        let peer = peer.clone();
        async move { peer.connected().await }
    });
    let ready = tokio::spawn(peer.request(ECHO, "x").wait_ready().into_future());
    tokio::task::yield_now().await;
    let began = Instant::now();
    assert!(a.shutdown(LONG).await.complete);
    assert!(matches!(
        connected.await.unwrap(),
        Err(CallError::ShuttingDown)
    ));
    assert!(matches!(ready.await.unwrap(), Err(CallError::ShuttingDown)));
    assert!(began.elapsed() < Duration::from_secs(1));
    assert!(matches!(
        peer.connected().await,
        Err(CallError::ShuttingDown)
    ));
}

#[tokio::test(start_paused = true)]
async fn dropping_the_last_handle_closes_everything() {
    let pair = pair().await;
    let testing::Pair { a, b, .. } = pair;
    let peer = a.connection(b.local()).unwrap();
    let call = tokio::spawn(peer.request(WAIT, "60000").into_future());
    tokio::task::yield_now().await;
    drop(b);
    let error = call.await.unwrap().unwrap_err();
    assert!(matches!(error, CallError::Disconnected { .. }), "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn peers_come_and_go() {
    let net = Net::new();
    let names = ["http://a:1", "http://b:1", "http://c:1"];
    let a = testing::node_on(&net, names[0], &names[..2], probe).unwrap();
    let c = testing::node_on(&net, names[2], &names, probe).unwrap();
    assert!(a.connection(names[2]).is_err());
    let peer = a.add_peer(names[2]).unwrap();
    timeout(LONG, peer.connected()).await.unwrap().unwrap();
    assert_eq!(peer.request(ECHO, "x").await.unwrap(), Payload::from("x"));
    assert!(a.add_peer(names[2]).is_err());
    assert!(a.add_peer("http://A:1").is_err());
    let call = tokio::spawn(peer.request(WAIT, "60000").into_future());
    tokio::task::yield_now().await;
    a.remove_peer(names[2]).unwrap();
    let error = call.await.unwrap().unwrap_err();
    let CallError::Disconnected { cause } = &error else {
        panic!("{error:?}")
    };
    assert!(matches!(**cause, LinkCause::Removed));
    assert!(a.remove_peer(names[2]).is_err());
    let error = timeout(LONG, peer.connected()).await.unwrap().unwrap_err();
    assert!(matches!(error, CallError::NotConnected { .. }), "{error:?}");
    drop(c);
}

#[tokio::test]
async fn a_node_needs_a_runtime() {
    let built = std::thread::spawn(|| {
        let names = NAMES;
        Manager::builder(names[0])
            .peers(names)
            .auth(NoAuth)
            .build()
            .map(|_| ())
    });
    let error = built.join().unwrap().unwrap_err();
    assert!(error.to_string().contains("runtime"), "{error}");
}

/// A runtime that ends while links are up drops their tasks wherever they stand.
#[test]
fn a_runtime_that_ends_leaves_nothing_of_its_nodes() {
    let held = Arc::new(());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let pair = testing::pair(|builder| {
            let held = held.clone();
            builder.single(HOLDING, move |request| {
                let held = held.clone();
                async move {
                    drop(held);
                    Ok(request.into_payload())
                }
            })
        })
        .await
        .unwrap();
        pair.a_to_b().request(HOLDING, "x").await.unwrap();
        assert!(Arc::strong_count(&held) > 1);
    });
    drop(runtime);
    assert_eq!(Arc::strong_count(&held), 1);
}

/// Who waits on another runtime is told, though the timers of the node are gone.
#[test]
fn a_call_from_elsewhere_ends_with_the_runtime_of_its_node() {
    // The remote has a runtime of its own: where it ended with this one, it might be seen to go first.
    let [theirs, remotes] = [0, 1].map(|_| tokio::runtime::Runtime::new().unwrap());
    let net = Net::new();
    let _remote = remotes.block_on(async {
        let remote = testing::node_on(&net, NAMES[1], &NAMES, |builder| {
            builder.single(NEVER, |_| std::future::pending())
        });
        remote.unwrap()
    });
    let (_node, peer) = theirs.block_on(async {
        let node = testing::node_on(&net, NAMES[0], &NAMES, |builder| builder).unwrap();
        let peer = node.connection(NAMES[1]).unwrap();
        peer.connected().await.unwrap();
        (node, peer)
    });
    let ours = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    ours.block_on(async move {
        let mut call = peer.request(NEVER, "x").into_future();
        assert!(futures_util::poll!(&mut call).is_pending());
        theirs.shutdown_background();
        let outcome = timeout(LONG, call).await.unwrap();
        assert!(
            matches!(outcome, Err(CallError::ShuttingDown)),
            "{outcome:?}"
        );
        // The link's task is dropped right after its session.
        let mut states = peer.watch();
        let closed = states.wait_for(|state| state.is_closed());
        drop(timeout(LONG, closed).await.unwrap().unwrap());
        let up = timeout(LONG, peer.connected()).await.unwrap();
        assert!(matches!(up, Err(CallError::ShuttingDown)), "{up:?}");
    });
}
