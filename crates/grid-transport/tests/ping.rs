//! `Connection::ping`: the round trip of a link, measured when somebody asks.

mod probe;

use std::time::Duration;

use grid_transport::{CallError, LinkCause};
use probe::*;
use tokio::time::{Instant, timeout};

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn both_ends_can_ping() {
    let pair = pair().await;
    for peer in [pair.a_to_b(), pair.b_to_a()] {
        assert_eq!(peer.stats().round_trip, None);
        let round_trip = peer.ping(SECOND).await.unwrap();
        assert_eq!(peer.stats().round_trip, Some(round_trip));
        // Several at once are answered each.
        let (one, two) = tokio::join!(peer.ping(SECOND), peer.ping(SECOND));
        assert!(one.is_ok() && two.is_ok(), "{one:?} {two:?}");
    }
    settled(&pair).await;
}

#[tokio::test(start_paused = true)]
async fn a_ping_that_is_not_answered_ends_in_time() {
    let pair = pair().await;
    let peer = pair.a_to_b();
    pair.net.freeze(pair.a.local(), pair.b.local(), true);
    let begin = Instant::now();
    let error = peer.ping(SECOND).await.unwrap_err();
    assert!(matches!(error, CallError::Deadline), "{error:?}");
    assert_eq!(begin.elapsed(), SECOND);
    pair.net.freeze(pair.a.local(), pair.b.local(), false);
    assert!(peer.ping(SECOND).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn each_who_waits_gets_the_time_of_its_own_ping() {
    let pair = pair().await;
    let peer = pair.a_to_b();
    pair.net.freeze(pair.a.local(), pair.b.local(), true);
    let mut first = Box::pin(peer.ping(SECOND * 10));
    assert!(timeout(SECOND, &mut first).await.is_err());
    let second = Box::pin(peer.ping(SECOND * 10));
    let mut both = Box::pin(async { tokio::join!(first, second) });
    assert!(timeout(SECOND, &mut both).await.is_err());
    pair.net.freeze(pair.a.local(), pair.b.local(), false);
    let (first, second) = both.await;
    let (first, second) = (first.unwrap(), second.unwrap());
    assert!(
        first >= SECOND * 2 && second < SECOND * 2,
        "{first:?} {second:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_ping_says_why_there_is_no_answer() {
    let pair = pair().await;
    let peer = pair.a_to_b();
    pair.net.freeze(pair.a.local(), pair.b.local(), true);
    let waiting = tokio::spawn({
        let peer = peer.clone();
        async move { peer.ping(SECOND * 60).await }
    });
    // The silence ends the link long before the minute is over.
    let error = waiting.await.unwrap().unwrap_err();
    let CallError::Disconnected { cause } = &error else {
        panic!("{error:?}")
    };
    assert!(matches!(**cause, LinkCause::PeerSilent { .. }), "{cause:?}");
    let error = peer.ping(SECOND).await.unwrap_err();
    assert!(matches!(error, CallError::NotConnected { .. }), "{error:?}");
    pair.a.shutdown(Duration::ZERO).await;
    let error = peer.ping(SECOND).await.unwrap_err();
    assert!(matches!(error, CallError::ShuttingDown), "{error:?}");
}
