//! Who comes again: limits of being replaced, of being let in by the same request, and of being warned of. Exact, as the
//! clock stands still.

use std::time::{Duration, SystemTime};

use grid_proto::wire::{ConnectRequest, Timestamp};
use grid_transport::Settings;
use tokio::time::Instant;

use crate::{
    around,
    logs::Logs,
    node::A,
    raw::request,
    times::{MS, accepting, around as around_time, defaults, let_in, pass},
};

/// How long each of those waits that dial as soon as the one before has taken over.
async fn waits(settings: Settings, count: usize) -> Vec<Duration> {
    let (dial, manager) = accepting(settings);
    let mut live = let_in(&dial, 1 << 16).await;
    let mut waits = Vec::new();
    for _ in 0..count {
        let began = Instant::now();
        let next = let_in(&dial, 1 << 16).await;
        waits.push(began.elapsed());
        live.ends().await;
        live = next;
    }
    manager.shutdown(Duration::ZERO).await;
    waits
}

fn are(waits: &[Duration], wanted: &[u64]) {
    assert_eq!(waits.len(), wanted.len());
    for (wait, wanted) in waits.iter().zip(wanted) {
        let wanted = Duration::from_millis(*wanted);
        assert!(*wait >= wanted && *wait <= wanted + MS, "{waits:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn replace_max() {
    // Nobody here answers pings.
    let patient = || defaults().ping_interval(Duration::from_secs(3_600));
    let by_default = waits(patient(), 7).await;
    are(
        &by_default,
        &[1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 1_000],
    );
    // Who has lived that long is replaced as the first one is; a millisecond less, and the next one lives longer still.
    let limit = Duration::from_secs(4);
    for (most, third, fourth) in [
        (limit - MS, 3_999, 1_000),
        (limit, 4_000, 1_000),
        (limit + MS, 4_000, 4_001),
    ] {
        let waits = waits(patient().replace_max(most), 4).await;
        are(&waits, &[1_000, 2_000, third, fourth]);
    }
}

#[tokio::test(start_paused = true)]
async fn max_remembered() {
    let limit = 5;
    let at = SystemTime::now();
    for count in around(limit) {
        let (dial, manager) = accepting(defaults().max_remembered(limit));
        let asked = |number: usize| ConnectRequest {
            time: Timestamp::from(at + Duration::from_millis(number as u64)),
            ..request(A, "debug")
        };
        let mut accepted = Vec::new();
        for number in (0..count).chain([0]) {
            let mut wire = dial.connect(1 << 16);
            wire.upgrade().await;
            accepted.push(wire.greet(&asked(number)).await.unwrap().accepted);
        }
        let copy = accepted.pop().unwrap();
        assert_eq!(accepted, vec![true; count]);
        assert_eq!(copy, count > limit, "a copy of the first of {count}");
        manager.shutdown(Duration::ZERO).await;
    }
}

#[tokio::test(start_paused = true)]
async fn warn_interval() {
    for later in around_time(Settings::new().warn_interval) {
        let (logs, _guard) = Logs::capture();
        let (dial, manager) = accepting(defaults());
        for wait in [Duration::ZERO, later] {
            pass(wait).await;
            let mut wire = dial.connect(1 << 16);
            wire.upgrade().await;
            let response = wire.greet(&request(A, "wrong")).await.unwrap();
            assert!(!response.accepted);
        }
        let told = logs.warnings_of("grid::accept").len();
        let wanted = 1 + usize::from(later >= Settings::new().warn_interval);
        assert_eq!(told, wanted, "{later:?}");
        manager.shutdown(Duration::ZERO).await;
    }
}
