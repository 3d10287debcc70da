//! What has ended leaves nothing, as only the inside of a session can show it: of calls no entry and no timer (row C20 of
//! `docs/scenarios.md`), of a node nothing at all, though its handlers hold connections (C23).

use std::{
    sync::{Arc, OnceLock, Weak},
    time::Duration,
};

use grid_proto::HandlerId;
use parking_lot::Mutex;

use super::tests::{self, ECHO, WAITS};
use crate::{
    Builder, CallError, Capacity, Connection, Manager, NoAuth, Payload, Settings, SingleHandler,
    Stream,
    link::shared::NodeShared,
    testing::{self, Pair},
};

/// Answers when nobody waits any more.
const TOO_LATE: HandlerId = HandlerId::new(203);
/// Calls an echo of both nodes.
const CALLS_BACK: HandlerId = HandlerId::new(204);

fn handlers(builder: Builder) -> Builder {
    let echo = SingleHandler::new(ECHO, |request| async move { Ok(request.into_payload()) });
    tests::handlers(builder)
        .register(echo.subroute("subroute/1"))
        .single(TOO_LATE, |request| async move {
            request.context().cancelled().await;
            Ok(Payload::Absent)
        })
}

/// Rounds of [`calls_and_streams`]: in full as many as make up the numbers of C20.
#[allow(
    clippy::print_stdout,
    reason = "what was scaled down stands in the output of the test"
)]
fn rounds() -> usize {
    let full = 2_000;
    if std::env::var("GRID_SCALE").is_ok_and(|scale| scale == "full") {
        return full;
    }
    let normal = 20;
    println!(
        "C20: scaled to {normal} of {full} rounds of 500 calls each way, 50 streams and 50 deadlines"
    );
    normal
}

/// Calls and streams of every kind and end.
async fn calls_and_streams(peer: &Connection) {
    let routed = peer.subroute("subroute/1");
    let stream = || peer.stream(WAITS, Capacity::new(0, 1), "x");
    for _ in 0..rounds() {
        let mut calls = tokio::task::JoinSet::new();
        for _ in 0..500 {
            for peer in [peer, &routed] {
                let echo = peer.request(ECHO, "x");
                calls.spawn(async { assert_eq!(echo.await.unwrap(), "x".into()) });
            }
            drop(peer.request(ECHO, "dropped unsent"));
        }
        while let Some(ended) = calls.join_next().await {
            ended.unwrap();
        }
        for _ in 0..25 {
            drop(stream().await.unwrap());
        }
        let deadline = Duration::from_millis(5);
        for _ in 0..25 {
            let builder = stream().timeout(deadline);
            calls.spawn(async {
                let end = match builder.await {
                    Ok(mut stream) => stream.recv().await.unwrap().unwrap_err(),
                    Err(error) => error,
                };
                assert!(matches!(end, CallError::Deadline), "{end:?}");
            });
        }
        for _ in 0..50 {
            let late = peer.request(TOO_LATE, "x").timeout(deadline);
            calls.spawn(async {
                let error = late.await.unwrap_err();
                assert!(matches!(error, CallError::Deadline), "{error:?}");
            });
        }
        while let Some(ended) = calls.join_next().await {
            ended.unwrap();
        }
        for _ in 0..10 {
            let call = peer.request(TOO_LATE, "dropped while under way");
            calls.spawn(async { drop(call.await) });
        }
        tokio::task::yield_now().await;
        calls.abort_all();
        while calls.join_next().await.is_some() {}
    }
}

/// What a node has of calls: tasks, entries of tables, timers, and what counts against limits of the node.
fn left(manager: &Manager) -> (usize, [usize; 8]) {
    let node = manager.node();
    let session = node.links.all()[0].session().unwrap();
    let core = session.monitor.lock();
    let left = [
        core.calls.len(),
        core.streams.len(),
        core.watched.len() + core.conn.serving_requests(),
        core.serving.len(),
        core.conn.timers(),
        node.budgets.handlers.used(),
        node.budgets.inbound.used(),
        node.budgets.queued.used(),
    ];
    (node.tasks.len(), left)
}

#[tokio::test(start_paused = true)]
async fn c20_what_has_ended_leaves_no_task_and_no_entry_pair() {
    let pair = testing::pair(handlers).await.unwrap();
    let tasks = [&pair.a, &pair.b].map(|node| node.node().tasks.len());
    calls_and_streams(&pair.a_to_b()).await;
    pair.a_to_b().request(ECHO, "fence").await.unwrap();
    for (node, tasks) in [&pair.a, &pair.b].into_iter().zip(tasks) {
        assert_eq!(left(node), (tasks, [0; 8]));
    }
}

/// The same over sockets: the only place where a program can see the timers of a link that goes over TCP.
#[tokio::test]
async fn c20_what_has_ended_leaves_no_timer() {
    let mut sockets = Vec::new();
    for _ in 0..2 {
        let socket = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let name = format!("http://{}", socket.local_addr().unwrap());
        sockets.push((socket, name));
    }
    let names = [0, 1].map(|index: usize| sockets[index].1.clone());
    let nodes: Vec<Manager> = sockets
        .into_iter()
        .map(|(socket, local)| {
            let builder = handlers(Manager::builder(&local))
                .peers(names.iter().map(|name| &**name))
                .auth(NoAuth)
                .settings(Settings::new().ping_interval(Duration::from_secs(3_600)));
            let node = builder.build().unwrap();
            node.serve(socket).unwrap();
            node
        })
        .collect();
    let [there, back] = [(0, 1), (1, 0)].map(|(from, to)| {
        let from: &Manager = &nodes[from];
        from.connection(&names[to]).unwrap()
    });
    there.connected().await.unwrap();
    back.connected().await.unwrap();
    there.request(ECHO, "fence").await.unwrap();
    let tasks = [0, 1].map(|node: usize| nodes[node].node().tasks.len());
    calls_and_streams(&there).await;
    // What is under way goes before the fences.
    let at_rest = async {
        loop {
            for peer in [&there, &back] {
                peer.request(ECHO, "fence").await.unwrap();
            }
            let left = [0, 1].map(|node: usize| left(&nodes[node]));
            if left == tasks.map(|tasks| (tasks, [0; 8])) {
                break;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(60), at_rest)
        .await
        .unwrap_or_else(|_| panic!("left: {:?}", nodes.iter().map(left).collect::<Vec<_>>()));
    assert_eq!((there.stats().reconnects, back.stats().reconnects), (0, 0));
}

/// What handlers were given to call others with.
#[derive(Default)]
struct Held {
    peers: OnceLock<[Connection; 2]>,
    stream: Mutex<Option<Stream>>,
}

/// Both nodes have a handler that holds connections of both and a stream, and has used them.
async fn pair_whose_handlers_hold(held: &Arc<Held>) -> Pair {
    let pair = testing::pair(|builder| {
        let held = held.clone();
        handlers(builder).single(CALLS_BACK, move |request| {
            let held = held.clone();
            async move {
                let peers = held.peers.get().unwrap();
                for peer in peers {
                    peer.request(ECHO, request.payload().clone()).await.unwrap();
                }
                Ok(request.into_payload())
            }
        })
    });
    let pair = pair.await.unwrap();
    held.peers.set([pair.a_to_b(), pair.b_to_a()]).unwrap();
    let stream = pair.a_to_b().stream(WAITS, Capacity::new(0, 1), "x");
    *held.stream.lock() = Some(stream.await.unwrap());
    for peer in [pair.a_to_b(), pair.b_to_a()] {
        assert_eq!(peer.request(CALLS_BACK, "x").await.unwrap(), "x".into());
    }
    pair
}

/// What handlers hold is given back, and with it the nodes.
async fn are_freed(held: Weak<Held>, nodes: [Weak<NodeShared>; 2]) {
    let counts = || {
        (
            held.strong_count(),
            nodes.each_ref().map(Weak::strong_count),
        )
    };
    // A paused clock stands while anybody yields, so the end of this wait is a number of turns.
    for _ in 0..10_000 {
        if counts() == (0, [0; 2]) {
            return;
        }
        tokio::task::yield_now().await;
    }
    panic!("still held: {:?}", counts());
}

// proves: I20
#[tokio::test(start_paused = true)]
async fn c23_a_node_whose_handlers_hold_its_connections_is_freed_when_it_was_shut_down_pair() {
    let held = Arc::new(Held::default());
    let pair = pair_whose_handlers_hold(&held).await;
    let nodes = [&pair.a, &pair.b].map(|node| Arc::downgrade(node.node()));
    let held = Arc::downgrade(&{ held });
    pair.shutdown(Duration::from_secs(1)).await;
    are_freed(held, nodes).await;
}

#[tokio::test(start_paused = true)]
async fn c23_a_node_whose_handlers_hold_its_connections_ends_and_is_freed_when_it_is_dropped_pair()
{
    let held = Arc::new(Held::default());
    let pair = pair_whose_handlers_hold(&held).await;
    let nodes = [&pair.a, &pair.b].map(|node| Arc::downgrade(node.node()));
    let held = Arc::downgrade(&{ held });
    drop(pair);
    are_freed(held, nodes).await;
}
