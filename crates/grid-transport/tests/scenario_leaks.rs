//! Row C20 of `docs/scenarios.md`: calls leave nothing behind.
//!
//! One test, alone in its process: it watches the allocator.

#[path = "common/node.rs"]
mod node;
#[path = "probe/mod.rs"]
mod probe;
#[path = "common/raw.rs"]
mod raw;
#[path = "common/scale.rs"]
mod scale;

use std::{alloc::System, time::Duration};

use futures_util::{StreamExt, stream};
use grid_transport::{CallError, Connection, HandlerId, Manager, Payload};
use node::{connected, link};
use probe::{BOTH_1, ECHO, ITEMS_100, LONG, NEVER_READS, OUT_100, TWO_WAY, probe, text};
use scale::scaled;
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};
use tokio::runtime::Handle;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Answers when nobody waits any more.
const TOO_LATE: HandlerId = HandlerId::new(200);

/// Calls at the same time.
const AT_ONCE: usize = 64;

const MIB: usize = 1 << 20;

fn allocated() -> usize {
    let stats = ALLOCATOR.stats();
    stats.bytes_allocated - stats.bytes_deallocated
}

async fn at_once<F: Future<Output = ()>>(count: usize, run: impl FnMut(usize) -> F) {
    let done = stream::iter((0..count).map(run))
        .buffer_unordered(AT_ONCE)
        .count();
    assert_eq!(done.await, count);
}

async fn calls(peer: &Connection, count: usize, prefix: &str) {
    at_once(count, async |call| {
        let call = call.to_string();
        let answer = peer.request(ECHO, call.clone()).timeout(LONG).await;
        assert_eq!(text(&answer.unwrap()), format!("{prefix}{call}"));
    })
    .await;
}

/// A third each is read to its end, dropped unread, and ended by its deadline.
async fn streams(peer: &Connection, count: usize) {
    at_once(count, async |call| match call % 3 {
        0 => {
            let mut stream = peer.stream(ITEMS_100, OUT_100, "3").await.unwrap();
            for item in 0..3 {
                assert_eq!(stream.recv().await.unwrap().unwrap().as_slice(), [item; 4]);
            }
            assert!(stream.recv().await.is_none());
        }
        1 => {
            let stream = peer.stream(TWO_WAY, BOTH_1, "x").await.unwrap();
            stream.send("x").await.unwrap();
        }
        _ => {
            let deadline = Duration::from_millis(2);
            let open = peer.stream(NEVER_READS, BOTH_1, "x").timeout(deadline);
            let mut stream = match open.await {
                Ok(stream) => stream,
                Err(error) => return assert!(matches!(error, CallError::Deadline), "{error:?}"),
            };
            let end = stream.recv().await.unwrap().unwrap_err();
            assert!(matches!(end, CallError::Deadline), "{end:?}");
        }
    })
    .await;
}

async fn calls_that_are_too_late(peer: &Connection, count: usize) {
    at_once(count, async |call| {
        // Some are given up before they leave.
        let deadline = Duration::from_micros(500 + call as u64 % 4 * 1_000);
        let answer = peer.request(TOO_LATE, "x").timeout(deadline).await;
        let error = answer.unwrap_err();
        assert!(matches!(error, CallError::Deadline), "{error:?}");
    })
    .await;
}

struct Counts {
    plain: usize,
    routed: usize,
    streams: usize,
    late: usize,
}

async fn all_kinds(peer: &Connection, counts: &Counts) {
    calls(peer, counts.plain, "").await;
    calls(&peer.subroute("subroute/1"), counts.routed, "sub1:").await;
    streams(peer, counts.streams).await;
    calls_that_are_too_late(peer, counts.late).await;
}

/// Waits until nothing of any call is left; returns how many tasks there are and what is allocated.
async fn at_rest(nodes: &[Manager; 2], tasks: Option<usize>) -> (usize, usize) {
    let mut left = String::new();
    for _ in 0..50_000 {
        for (from, to) in [(0, 1), (1, 0)] {
            let peer = link(&nodes[from], &nodes[to]);
            let fence = peer.request(ECHO, "fence").timeout(LONG).await;
            assert_eq!(fence.unwrap(), Payload::from("fence"));
        }
        let stats: Vec<_> = nodes.iter().flat_map(Manager::stats).collect();
        let open: usize = stats
            .iter()
            .map(|stats| {
                assert_eq!(stats.reconnects, 0, "{stats:?}");
                stats.open_requests
                    + stats.open_streams
                    + stats.serving_requests
                    + stats.serving_streams
                    + stats.running_handlers
                    + stats.queued_bytes
            })
            .sum();
        let alive = Handle::current().metrics().num_alive_tasks();
        if open == 0 && tasks.is_none_or(|tasks| tasks == alive) {
            return (alive, allocated());
        }
        left = format!("{alive} of {tasks:?} tasks, {stats:?}");
    }
    panic!("not at rest: {left}");
}

#[tokio::test]
async fn c20_calls_leave_nothing_behind() {
    let nodes = node::pair(|_, builder| {
        probe(builder).single(TOO_LATE, |request| async move {
            request.context().cancelled().await;
            Ok(Payload::Absent)
        })
    })
    .await;
    let peer = link(&nodes[0], &nodes[1]);
    connected(&peer).await;
    connected(&link(&nodes[1], &nodes[0])).await;
    let counts = Counts {
        plain: scaled("C20", "plain calls", 20_000, 1_000_000),
        routed: scaled("C20", "calls with a subroute", 20_000, 1_000_000),
        streams: scaled("C20", "streams", 3_000, 100_000),
        late: scaled("C20", "calls whose deadline has passed", 3_000, 100_000),
    };
    let (tasks, _) = at_rest(&nodes, None).await;
    // What is there for good after the first of each: buffers, tables, timers of the runtime.
    let few = Counts {
        plain: 500,
        routed: 500,
        streams: 300,
        late: 300,
    };
    all_kinds(&peer, &few).await;
    let (_, before) = at_rest(&nodes, Some(tasks)).await;
    all_kinds(&peer, &counts).await;
    let (after_tasks, after) = at_rest(&nodes, Some(tasks)).await;
    assert_eq!(after_tasks, tasks);
    assert!(
        after < before + 5 * MIB,
        "{before} bytes before and {after} after"
    );
}
