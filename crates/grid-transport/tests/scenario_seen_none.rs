//! What calls cost that nobody watches: nothing of a span is built.
//!
//! One test, alone in its process: it watches the allocator.

mod probe;

use std::{alloc::System, io};

use grid_transport::{
    Settings,
    testing::{self, Pair},
};
use probe::*;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use tracing::{Level, level_filters::LevelFilter};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const CALLS: usize = 1_000;

/// Allocations of so many requests, and of as many streams of one item.
async fn allocations(pair: &Pair) -> (usize, usize) {
    let peer = pair.a_to_b().subroute("subroute/1");
    // What grows once has grown after the first.
    for _ in 0..100 {
        peer.request(ECHO, "x").await.unwrap();
    }
    let region = Region::new(ALLOCATOR);
    for _ in 0..CALLS {
        peer.request(ECHO, "x").await.unwrap();
    }
    let requests = region.change().allocations;
    let peer = pair.a_to_b();
    let region = Region::new(ALLOCATOR);
    for _ in 0..CALLS {
        let mut stream = peer.stream(ITEMS_100, OUT_100, "1").await.unwrap();
        assert!(stream.recv().await.unwrap().is_ok());
        assert!(stream.recv().await.is_none());
    }
    (requests, region.change().allocations)
}

/// What they cost without a span. One more is a span's: one that was built whoever watches would stand in all that is
/// measured here.
const NO_SPANS: (usize, usize) = (ALLOCATIONS[0] * CALLS, ALLOCATIONS[1] * CALLS);

/// The least of several measurements: what the machine does besides only adds to them.
async fn least(pair: &Pair) -> (usize, usize) {
    let (mut requests, mut streams) = (usize::MAX, usize::MAX);
    for _ in 0..5 {
        let (request, stream) = allocations(pair).await;
        requests = requests.min(request);
        streams = streams.min(stream);
    }
    (requests, streams)
}

#[tokio::test(start_paused = true)]
async fn t01_nobody_watches_and_nothing_is_built_pair() {
    ends(async {
        // Handlers are polled in place, however slow the machine is.
        let settings = Settings::new().in_place_time(LONG).slow_poll(LONG);
        let pair = testing::pair(|builder| probe(builder).settings(settings.clone()))
            .await
            .unwrap();
        // With tracing off a call costs what it costs by itself.
        let plain = {
            let off = tracing_subscriber::fmt()
                .with_max_level(LevelFilter::OFF)
                .with_writer(io::sink)
                .finish();
            let _guard = tracing::subscriber::set_default(off);
            assert_eq!(LevelFilter::current(), LevelFilter::OFF);
            least(&pair).await
        };
        // Streams grow a few collections besides.
        let slack = CALLS / 10;
        for (cost, known) in [(plain.0, NO_SPANS.0), (plain.1, NO_SPANS.1)] {
            assert!(cost.abs_diff(known) <= slack, "{plain:?}, not {NO_SPANS:?}");
        }
        let without = least(&pair).await;
        assert!(
            without.0 <= plain.0 + slack && without.1 <= plain.1 + slack,
            "{without:?}, not {plain:?}"
        );
        // Who wants to know of what goes wrong, or of links, and not of calls.
        for level in [Level::WARN, Level::INFO] {
            let others = tracing_subscriber::fmt()
                .with_max_level(level)
                .with_writer(io::sink)
                .finish();
            let uninterested = {
                let _guard = tracing::subscriber::set_default(others);
                least(&pair).await
            };
            assert!(
                uninterested.0 <= plain.0 + slack && uninterested.1 <= plain.1 + slack,
                "{level}: {uninterested:?}, not {plain:?}"
            );
        }
        // That it would be seen.
        let calls = tracing_subscriber::fmt()
            .with_max_level(Level::DEBUG)
            .with_writer(io::sink)
            .finish();
        let _guard = tracing::subscriber::set_default(calls);
        let with = least(&pair).await;
        assert!(
            with.0 > without.0 + 2 * CALLS && with.1 > without.1 + 2 * CALLS,
            "{with:?}, {without:?} without"
        );
    })
    .await;
}
