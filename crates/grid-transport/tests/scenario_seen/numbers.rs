//! T04: the numbers of a connection and of a handler.

use std::{future::IntoFuture, sync::Arc, time::Duration};

use grid_transport::{
    Connection, HandlerStats, LinkCause, LinkState, Manager, Settings,
    testing::{self, NAMES},
};
use tokio::time::{Instant, sleep};

use crate::{node, probe::*};

fn handler(
    manager: &Manager,
    id: grid_transport::HandlerId,
    subroute: Option<&str>,
) -> HandlerStats {
    let all = manager.handler_stats();
    let found = all
        .into_iter()
        .find(|stats| stats.handler == id && stats.subroute.as_deref() == subroute);
    found.unwrap_or_else(|| panic!("no {id:?}"))
}

/// State, since when, last cause, reconnects, round trip, bytes and messages, open calls and streams, queued bytes:
/// each as it is at that moment.
#[tokio::test(start_paused = true)]
async fn t04_the_numbers_of_a_connection_pair() {
    ends(async {
        let settings = Settings::new().write_timeout(LONG).ping_interval(LONG);
        let pair = testing::pair(|builder| probe(builder).settings(settings.clone()))
            .await
            .unwrap();
        let (a, b) = (pair.a_to_b(), pair.b_to_a());
        let began = Instant::now();
        let first = a.stats();
        assert_eq!(&*first.remote, pair.b.local());
        assert!(matches!(&first.state, LinkState::Connected { peer, .. } if *peer == pair.b.id()));
        assert!(first.last_cause.is_none() && first.round_trip.is_none());
        assert_eq!((first.reconnects, first.failed_attempts), (0, 0));
        assert_eq!((first.messages_in, first.messages_out), (0, 0));

        // tidy: sleep: since when, under paused time
        sleep(Duration::from_secs(7)).await;
        assert_eq!(a.stats().since, first.since + Duration::from_secs(7));
        let measured = a.ping(LONG).await.unwrap();
        assert_eq!(a.stats().round_trip, Some(measured));

        // Open calls and streams, of both sides.
        let single = tokio::spawn(a.request(WAIT, "10000").into_future());
        let stream = a.stream(WAITS, OUT_1, "x").await.unwrap();
        a.request(ECHO, "fence").await.unwrap();
        let (ours, theirs) = (a.stats(), b.stats());
        assert_eq!((ours.open_requests, ours.open_streams), (1, 1));
        assert_eq!((theirs.serving_requests, theirs.serving_streams), (1, 1));
        assert_eq!(theirs.running_handlers, 2);
        assert_eq!((theirs.open_requests, ours.serving_requests), (0, 0));
        single.await.unwrap().unwrap();
        drop(stream);
        a.request(ECHO, "fence").await.unwrap();
        let (ours, theirs) = (a.stats(), b.stats());
        assert_eq!((ours.open_requests, ours.open_streams), (0, 0));
        assert_eq!((theirs.serving_requests, theirs.serving_streams), (0, 0));
        // Two echoes, a request, a stream and its cancel, a ping; and what came back for them.
        assert_eq!(
            (ours.messages_out, ours.messages_in),
            (theirs.messages_in, theirs.messages_out)
        );
        assert_eq!(ours.messages_out, 6);
        assert!(ours.messages_in >= 4, "{ours:?}");
        assert_eq!(
            (ours.bytes_out, ours.bytes_in),
            (theirs.bytes_in, theirs.bytes_out)
        );
        assert!(ours.bytes_out > first.bytes_out && ours.bytes_in > first.bytes_in);

        // What a frozen peer does not take waits, and is counted.
        assert_eq!(ours.queued_bytes, 0);
        pair.net.freeze(NAMES[0], NAMES[1], true);
        let much = tokio::spawn(a.request(ECHO, vec![0; 1 << 20]).into_future());
        let more = tokio::spawn(a.request(ECHO, vec![0; 1 << 20]).into_future());
        // tidy: sleep: the socket takes what it can, under paused time
        sleep(Duration::from_secs(1)).await;
        let queued = a.stats().queued_bytes;
        assert!(queued > 1 << 20 && queued < (1 << 21) + 1_000, "{queued}");
        pair.net.freeze(NAMES[0], NAMES[1], false);
        much.await.unwrap().unwrap();
        more.await.unwrap().unwrap();
        assert_eq!(a.stats().queued_bytes, 0);

        // Down, with its cause, and up again: the counters go on.
        let before = a.stats();
        pair.net.refuse(NAMES[0], NAMES[1], true);
        pair.cut();
        node::state(&a, |state| match state {
            LinkState::Connecting { attempt: 3, .. } => Some(()),
            _ => None,
        })
        .await;
        let down = a.stats();
        let cause: &Arc<LinkCause> = down.last_cause.as_ref().unwrap();
        assert!(matches!(**cause, LinkCause::Dial(_)), "{cause}");
        assert_eq!((down.failed_attempts, down.reconnects), (2, 0));
        assert_eq!(down.round_trip, None);
        assert!(down.since < before.since && down.since > Duration::ZERO);
        assert!(matches!(
            b.stats().state,
            LinkState::Waiting { last: Some(_) }
        ));
        assert!(matches!(
            **b.stats().last_cause.as_ref().unwrap(),
            LinkCause::Lost(_)
        ));
        pair.net.refuse(NAMES[0], NAMES[1], false);
        pair.connected().await.unwrap();
        let after = a.stats();
        assert_eq!((after.reconnects, after.failed_attempts), (1, 2));
        assert!(after.state.is_connected() && after.last_cause.is_some());
        assert_eq!(after.messages_out, before.messages_out);
        assert!(after.bytes_out > before.bytes_out, "another handshake");
        assert!(began.elapsed() > Duration::from_secs(10));
    })
    .await;
}

/// Calls, errors and time of each handler; the time is exact where the clock stands still.
async fn handlers(a: &Manager, b: &Manager, peer: &Connection, exact: bool) {
    for _ in 0..3 {
        peer.request(ECHO, "x").await.unwrap();
    }
    peer.subroute("subroute/1")
        .request(ECHO, "x")
        .await
        .unwrap();
    for _ in 0..2 {
        peer.request(FAIL, "x").await.unwrap_err();
    }
    peer.request(PANIC, "x").await.unwrap_err();
    let waits = Duration::from_millis(50);
    let called = Instant::now();
    peer.request(WAIT, "50").await.unwrap();
    peer.request(WAIT, "50").await.unwrap();
    let both = called.elapsed();
    let mut stream = peer.stream(FAIL_AFTER, OUT_1, "3:x").await.unwrap();
    while let Some(Ok(_)) = stream.recv().await {}
    let count = |id, subroute| {
        let stats = handler(b, id, subroute);
        assert_eq!(stats.running, 0, "{stats:?}");
        (stats.calls, stats.errors, stats.panics)
    };
    assert_eq!(count(ECHO, None), (3, 0, 0));
    assert_eq!(count(ECHO, Some("subroute/1")), (1, 0, 0));
    assert_eq!(count(FAIL, None), (2, 2, 0));
    assert_eq!(count(PANIC, None), (1, 1, 1));
    assert_eq!(count(FAIL_AFTER, None), (1, 1, 0));
    assert_eq!(count(ABSENT, None), (0, 0, 0));
    let time = handler(b, WAIT, None).time;
    assert!(time >= 2 * waits && time <= both, "{time:?} of {both:?}");
    if exact {
        assert_eq!(time, 2 * waits);
    }
    let told = handler(b, WAIT, None);
    let (p50, p99) = (told.p50.unwrap(), told.p99.unwrap());
    assert!(p50 >= waits * 7 / 8 && p50 <= p99, "{told:?}");
    assert!(p99 <= both * 9 / 8, "{told:?} within {both:?}");
    let idle = handler(b, ABSENT, None);
    assert_eq!(
        (idle.time, idle.p50, idle.p99),
        (Duration::ZERO, None, None)
    );
    // Those of the caller have done nothing.
    assert!(a.handler_stats().iter().all(|stats| stats.calls == 0));
}

#[tokio::test]
async fn t04_the_numbers_of_connections_and_handlers() {
    ends(async {
        let [a, b] = node::pair(|_, builder| probe(builder)).await;
        let (there, back) = (node::link(&a, &b), node::link(&b, &a));
        node::connected(&there).await;
        node::connected(&back).await;
        handlers(&a, &b, &there, false).await;
        let measured = there.ping(LONG).await.unwrap();
        let (ours, theirs) = (there.stats(), back.stats());
        assert!(ours.state.is_connected() && theirs.state.is_connected());
        assert_eq!(ours.round_trip, Some(measured));
        assert_eq!(
            (ours.bytes_in, ours.bytes_out),
            (theirs.bytes_out, theirs.bytes_in)
        );
        assert_eq!(
            (ours.messages_in, ours.messages_out),
            (theirs.messages_out, theirs.messages_in)
        );
        assert_eq!(
            (ours.open_requests, ours.open_streams, ours.queued_bytes),
            (0, 0, 0)
        );
        assert_eq!((ours.reconnects, theirs.reconnects), (0, 0));
        assert_eq!(a.stats().len(), 1);
        b.shutdown(Duration::ZERO).await;
        let cause = node::down_because(&there, |cause| Some(cause.to_string())).await;
        assert_eq!(there.stats().last_cause.unwrap().to_string(), cause);
        a.shutdown(Duration::ZERO).await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn t04_the_numbers_of_handlers_pair() {
    ends(async {
        let pair = pair().await;
        handlers(&pair.a, &pair.b, &pair.a_to_b(), true).await;
    })
    .await;
}
