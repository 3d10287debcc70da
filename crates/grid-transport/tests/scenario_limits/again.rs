//! Who comes again: limits of being replaced, of being let in by the same request, and of being warned of. Exact, as the
//! clock stands still.

use std::{
    future::IntoFuture,
    time::{Duration, SystemTime},
};

use grid_proto::wire::{ConnectRequest, Op, Timestamp};
use grid_transport::Settings;
use tokio::time::Instant;

use crate::{
    around,
    hostile::STUCK,
    logs::Logs,
    node::A,
    raw::request,
    times::{MS, accepting, accepting_at, around as around_time, defaults, let_in, pass},
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

/// Which reason a copy is refused for that comes so long after its original, whose clock is ahead as far as may be; `None`
/// where it is let in. The acceptor's clock goes with the time, or stands still.
async fn copied(after: Duration, clock_goes: bool) -> Option<String> {
    let (at, began) = (SystemTime::now(), Instant::now());
    let settings = defaults().ping_interval(Duration::from_secs(36_000));
    let ahead = settings.max_clock_skew;
    let (dial, manager) = accepting_at(settings, move || match clock_goes {
        true => at + began.elapsed(),
        false => at,
    });
    let original = ConnectRequest {
        time: Timestamp::from(at + ahead),
        ..request(A, "debug")
    };
    let mut live = dial.connect(1 << 16);
    live.upgrade().await;
    assert!(live.greet(&original).await.unwrap().accepted);
    pass(after).await;
    let mut copy = dial.connect(1 << 16);
    copy.upgrade().await;
    let response = copy.greet(&original).await.unwrap();
    let link = manager.connection(A).unwrap();
    assert!(link.state().is_connected(), "{}", link.state());
    manager.shutdown(Duration::ZERO).await;
    (!response.accepted).then(|| response.rejected_reason.to_string())
}

/// A request is remembered for ten minutes, which is as long as any clock lets it pass.
#[tokio::test(start_paused = true)]
async fn how_long_a_request_is_remembered() {
    let window = 2 * Settings::new().max_clock_skew;
    assert_eq!(window, Duration::from_secs(600));
    let second = Duration::from_secs(1);
    for after in [window - second, window - MS, window] {
        for clock_goes in [false, true] {
            let refused = copied(after, clock_goes).await;
            let refused = refused.unwrap_or_else(|| panic!("let in after {after:?}"));
            assert_eq!(refused, "this connect request was used before");
        }
    }
    for after in [window + MS, window + second] {
        let refused = copied(after, true).await;
        let refused = refused.unwrap_or_else(|| panic!("let in after {after:?}"));
        assert!(
            refused.starts_with("time difference too large"),
            "{refused}"
        );
        // What is forgotten is seen only where no clock tells that it is old.
        assert_eq!(copied(after, false).await, None, "after {after:?}");
    }
}

/// Each newer one closes the one that waited before it; the last gets the place when the live one is old enough.
#[tokio::test(start_paused = true)]
async fn of_those_waiting_only_the_newest_is_kept() {
    let limit = Settings::new().replace_after;
    let (dial, manager) = accepting(defaults());
    let link = manager.connection(A).unwrap();
    let mut live = let_in(&dial, 1 << 16).await;
    let began = Instant::now();
    let mut waiting = None;
    for number in 1..=4 {
        pass(limit / 5).await;
        let mut newer = dial.connect(1 << 16);
        newer.upgrade().await;
        newer.ask(&request(A, "debug")).await;
        pass(MS).await;
        let now = Instant::now();
        if let Some(mut older) = waiting.replace(newer) {
            assert_eq!(older.answer().await, None, "closed without an answer");
            assert_eq!(
                now.elapsed(),
                Duration::ZERO,
                "as soon as {number} is there"
            );
        }
        assert!(link.state().is_connected() && link.stats().reconnects == 0);
    }
    let mut newest = waiting.unwrap();
    assert!(newest.answer().await.unwrap().accepted);
    let waited = began.elapsed();
    assert!(waited >= limit && waited <= limit + MS, "{waited:?}");
    live.ends().await;
    link.connected().await.unwrap();
    assert_eq!(link.stats().reconnects, 1);
    // It is the one that calls go over.
    let call = tokio::spawn(link.request(STUCK, "x").into_future());
    assert_eq!(newest.message().await.unwrap().op, Op::Request);
    call.abort();
    manager.shutdown(Duration::ZERO).await;
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
