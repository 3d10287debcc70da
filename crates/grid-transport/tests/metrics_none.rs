#![cfg(feature = "metrics")]
//! What the feature `metrics` costs in allocations: none without a recorder, and none for a call with one.
//!
//! One test, alone in its process: it watches the allocator, and installs the global recorder.

mod probe;
#[path = "metrics/scrape.rs"]
mod scrape;

use std::alloc::System;

use grid_transport::{
    Settings,
    testing::{self, Pair},
};
use probe::*;
use scrape::{recorder, scrape};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const CALLS: usize = 1_000;

/// What so many requests and streams of one item cost by themselves; `scenario_seen_none` compares with the same figure.
/// Tests are built with all features, so nothing measures a build without this one: the figure is that of no recorder, and
/// whoever adds an allocation for metrics has to raise it.
const OFF: [usize; 2] = [ALLOCATIONS[0] * CALLS, ALLOCATIONS[1] * CALLS];

/// A recorder keeps values in blocks of many, and streams grow a few collections; one for each call would be ten times
/// as much.
const SLACK: usize = CALLS / 10;

async fn pair() -> Pair {
    // Handlers are polled in place, however slow the machine is.
    let settings = Settings::new().in_place_time(LONG).slow_poll(LONG);
    testing::pair(|builder| probe(builder).settings(settings.clone()))
        .await
        .unwrap()
}

/// The least of several measurements: what the machine does besides only adds to them.
async fn least(pair: &Pair) -> [usize; 2] {
    let (plain, routed) = (pair.a_to_b(), pair.a_to_b().subroute("subroute/1"));
    let mut least = [usize::MAX; 2];
    for _ in 0..5 {
        // What grows once has grown after the first.
        for _ in 0..100 {
            routed.request(ECHO, "x").await.unwrap();
        }
        let region = Region::new(ALLOCATOR);
        for _ in 0..CALLS {
            routed.request(ECHO, "x").await.unwrap();
        }
        least[0] = least[0].min(region.change().allocations);
        let region = Region::new(ALLOCATOR);
        for _ in 0..CALLS {
            let mut stream = plain.stream(ITEMS_100, OUT_100, "1").await.unwrap();
            assert!(stream.recv().await.unwrap().is_ok());
            assert!(stream.recv().await.is_none());
        }
        least[1] = least[1].min(region.change().allocations);
    }
    least
}

#[tokio::test(start_paused = true)]
async fn calls_allocate_nothing_for_metrics() {
    ends(async {
        // Where they cost less the figure is stale, and more would go unnoticed.
        let without = least(&pair().await).await;
        for (cost, off) in without.into_iter().zip(OFF) {
            assert!(cost.abs_diff(off) <= SLACK, "{without:?}, not {OFF:?}");
        }
        let (recorder, handle) = recorder();
        assert!(metrics::set_global_recorder(recorder).is_ok());
        let recorded = pair().await;
        let with = least(&recorded).await;
        for (cost, off) in with.into_iter().zip(OFF) {
            assert!(cost <= off + SLACK, "{with:?} with a recorder, not {OFF:?}");
        }
        // And it did record.
        let seen = scrape(&handle, &[&recorded.a, &recorded.b]);
        let requests = (5 * (CALLS + 100)) as f64;
        let measured = "grid_call_duration_seconds_count";
        assert_eq!(seen.value(measured, &[("kind", "request")]), requests);
        assert_eq!(
            seen.value(measured, &[("kind", "stream")]),
            (5 * CALLS) as f64
        );
        let served = [
            ("local", recorded.b.local()),
            ("handler", "9"),
            ("subroute", "subroute/1"),
        ];
        assert_eq!(
            seen.value("grid_handler_duration_seconds_count", &served),
            requests
        );
    })
    .await;
}
