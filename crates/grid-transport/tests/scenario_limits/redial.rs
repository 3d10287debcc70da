//! When a dialer dials again: each setting a millisecond below, at it, and a millisecond above, from a raw peer that turns
//! it away or leaves. Gaps are drawn at random, so many are looked at; the clock stands still, and its timers go by whole
//! milliseconds.

use std::{collections::BTreeSet, time::Duration};

use grid_transport::{Connection, LinkState, Settings};
use tokio::time::Instant;

use crate::{
    times::{MS, around, defaults, dialing, pass},
    wire::{Dialed, Wire},
};

/// So many draws miss a third of a range once in 10^17 runs.
const DRAWS: usize = 100;

/// Nobody here answers pings.
fn settings() -> Settings {
    defaults()
        .ping_interval(Duration::from_secs(1_000_000))
        .dial_timeout(Duration::from_secs(1_000_000))
}

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// The next attempt, and how long after `since` it began.
async fn dialed(dialed: &Dialed, since: Instant) -> (Wire, Duration) {
    let wire = dialed.next().await;
    (wire, since.elapsed())
}

async fn let_in(wire: &mut Wire, link: &Connection) {
    wire.serve_request().await;
    wire.accept().await;
    link.connected().await.unwrap();
}

/// A link lives for so long and is lost; how long after its beginning and its end the next attempt comes.
async fn lives(settings: Settings, age: Duration) -> (Duration, Duration) {
    let (dials, manager, link) = dialing(settings, Duration::ZERO);
    let began = Instant::now();
    let mut wire = dials.next().await;
    let_in(&mut wire, &link).await;
    pass(age).await;
    assert!(link.state().is_connected());
    drop(wire);
    let lost = Instant::now();
    let (_wire, after_loss) = dialed(&dials, lost).await;
    let after_begin = began.elapsed();
    manager.shutdown(Duration::ZERO).await;
    (after_begin, after_loss)
}

#[tokio::test(start_paused = true)]
async fn redial_at_once_after() {
    let limit = Settings::new().redial_at_once_after;
    let gap = Duration::from_secs(1_000);
    let settings = settings().redial_interval(gap).redial_jitter(MS);
    for age in around(limit) {
        let (after_begin, after_loss) = lives(settings.clone(), age).await;
        if age > limit {
            assert!(after_loss <= MS, "{age:?}: {after_loss:?}");
        } else {
            let right = after_begin >= gap && after_begin <= 2 * gap + MS;
            assert!(right, "{age:?}: {after_begin:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn redial_jitter() {
    let at_once = || settings().redial_at_once_after(Duration::ZERO);
    for limit in around(ms(3)) {
        let mut seen = BTreeSet::new();
        for _ in 0..DRAWS {
            let (_, after_loss) = lives(at_once().redial_jitter(limit), ms(10)).await;
            seen.insert(after_loss);
        }
        // None at all is one draw of 2^53.
        assert_eq!(seen.last(), Some(&limit), "{seen:?}");
        let most = limit.as_millis() as usize + 1;
        assert!((most - 1..=most).contains(&seen.len()), "{seen:?}");
    }
    for limit in around(Settings::new().redial_jitter) {
        let (_, after_loss) = lives(at_once().redial_jitter(limit), ms(10)).await;
        assert!(after_loss <= limit, "{after_loss:?} of {limit:?}");
    }
}

/// The gaps between the starts of attempts that fail at once.
async fn gaps(settings: Settings, skip: usize, count: usize) -> Vec<Duration> {
    let (dials, manager, link) = dialing(settings, Duration::ZERO);
    let mut gaps = Vec::new();
    drop(dials.next().await);
    let mut last = Instant::now();
    for _ in 0..skip + count {
        let (wire, gap) = dialed(&dials, last).await;
        last = Instant::now();
        drop(wire);
        gaps.push(gap);
    }
    assert!(matches!(link.state(), LinkState::Connecting { .. }));
    manager.shutdown(Duration::ZERO).await;
    gaps.split_off(skip)
}

#[tokio::test(start_paused = true)]
async fn redial_interval() {
    for limit in around(ms(3)) {
        let gaps = gaps(settings().redial_interval(limit), 0, DRAWS).await;
        let seen: BTreeSet<_> = gaps.into_iter().collect();
        // Exactly the interval is one draw of 2^53.
        assert!(seen.first() >= Some(&limit), "{seen:?}");
        assert!(seen.first() <= Some(&(limit + MS)), "{seen:?}");
        assert_eq!(seen.last(), Some(&(2 * limit)), "{seen:?}");
    }
    for limit in around(Settings::new().redial_interval) {
        for gap in gaps(settings().redial_interval(limit), 0, DRAWS).await {
            assert!(
                gap >= limit && gap <= 2 * limit + MS,
                "{gap:?} of {limit:?}"
            );
        }
    }
}

/// Whether the gap has doubled when an attempt fails that began so long after the first.
#[tokio::test(start_paused = true)]
async fn redial_patience() {
    let limit = Settings::new().redial_patience;
    let gap = Duration::from_secs(1_000);
    for failing in around(limit) {
        let settings = settings()
            .redial_interval(gap)
            .redial_max(Duration::from_secs(100_000));
        let (dials, manager, link) = dialing(settings, Duration::ZERO);
        drop(dials.next().await);
        pass(failing).await;
        link.reconnect_now();
        drop(dials.next().await);
        let (_wire, waited) = dialed(&dials, Instant::now()).await;
        let times = if failing < limit { 1 } else { 2 };
        let right = waited >= times * gap && waited <= 2 * times * gap + MS;
        assert!(right, "{failing:?}: {waited:?}");
        manager.shutdown(Duration::ZERO).await;
    }
}

#[tokio::test(start_paused = true)]
async fn redial_max() {
    for limit in around(ms(8)) {
        let settings = settings()
            .redial_interval(MS)
            .redial_patience(Duration::ZERO)
            .redial_max(limit);
        let seen: BTreeSet<_> = gaps(settings, 4, 2 * DRAWS).await.into_iter().collect();
        assert_eq!(seen.last(), Some(&limit), "{seen:?}");
        assert!(seen.first() >= Some(&(limit / 2)), "{seen:?}");
    }
    for limit in around(Settings::new().redial_max) {
        let settings = settings().redial_patience(Duration::ZERO).redial_max(limit);
        for gap in gaps(settings, 5, DRAWS).await {
            let right = gap >= limit / 2 && gap <= limit + MS;
            assert!(right, "{gap:?} of {limit:?}");
        }
    }
}
