//! Calls that begin, run and end at the very moment their link is cut.

mod probe;

use std::{future::IntoFuture, time::Duration};

use grid_transport::{CallError, Payload, testing};
use probe::*;
use tokio::{
    task::JoinSet,
    time::{Instant, timeout},
};

/// An outcome that a cut may have; how it came out otherwise is checked by who calls.
fn is_cut(error: &CallError) -> bool {
    matches!(
        error,
        CallError::Disconnected { .. } | CallError::NotConnected { .. }
    )
}

#[tokio::test(start_paused = true)]
async fn every_call_around_a_cut_comes_to_an_end() {
    let pair = pair().await;
    let (mut answered, mut cut) = (0, 0);
    for round in 0..200_u64 {
        pair.connected().await.unwrap();
        let mut calls = JoinSet::new();
        for call in 0..20 {
            let peer = if call % 2 == 0 {
                pair.a_to_b()
            } else {
                pair.b_to_a()
            };
            calls.spawn(async move {
                for _ in 0..call {
                    tokio::task::yield_now().await;
                }
                let payload = format!("{round}/{call}");
                let answer = timeout(
                    Duration::from_secs(1),
                    peer.request(ECHO, payload.clone()).into_future(),
                );
                let answer = answer.await.expect("a call that never ends");
                answer.map(|answer| assert_eq!(answer, Payload::from(payload)))
            });
        }
        for _ in 0..round % 40 {
            tokio::task::yield_now().await;
        }
        pair.cut();
        while let Some(call) = calls.join_next().await {
            match call.unwrap() {
                Ok(()) => answered += 1,
                Err(error) if is_cut(&error) => cut += 1,
                Err(error) => panic!("{error:?}"),
            }
        }
        for peer in [pair.a_to_b(), pair.b_to_a()] {
            peer.watch()
                .wait_for(|state| !state.is_connected())
                .await
                .unwrap();
        }
    }
    // Both must have happened, or this test shows nothing.
    assert!(
        answered > 100 && cut > 100,
        "{answered} answered, {cut} cut"
    );
    pair.connected().await.unwrap();
    settled(&pair).await;
    assert_eq!(pair.a_to_b().stats().reconnects, 200);
}

#[tokio::test(start_paused = true)]
async fn many_open_calls_end_at_once_and_the_link_comes_back() {
    let pair = pair().await;
    let peer = pair.a_to_b();
    let mut calls = JoinSet::new();
    for _ in 0..10_000 {
        calls.spawn(peer.request(WAIT, "50000").timeout(LONG).into_future());
    }
    let mut streams = Vec::new();
    for _ in 0..1_000 {
        streams.push(peer.stream(ITEMS, OUT_1, "100").await.unwrap());
    }
    while peer.stats().open_requests < 10_000 {
        tokio::task::yield_now().await;
    }
    // Behind all that was sent before: B serves them all.
    peer.request(ECHO, "fence").await.unwrap();
    assert_eq!(peer.stats().open_requests, 10_000);
    assert_eq!(pair.b_to_a().stats().serving_requests, 10_000);
    let began = Instant::now();
    pair.cut();
    while let Some(call) = calls.join_next().await {
        let error = call.unwrap().unwrap_err();
        assert!(matches!(error, CallError::Disconnected { .. }), "{error:?}");
    }
    assert!(
        began.elapsed() < Duration::from_millis(100),
        "{:?}",
        began.elapsed()
    );
    // Consumers that are stuck hold up nobody: the link is back before they look.
    pair.connected().await.unwrap();
    assert!(
        began.elapsed() < Duration::from_secs(3),
        "{:?}",
        began.elapsed()
    );
    for mut stream in streams {
        loop {
            match stream.recv().await {
                Some(Ok(_)) => {}
                Some(Err(CallError::Disconnected { .. })) => break,
                other => panic!("{other:?}"),
            }
        }
    }
    // Single handlers run to their end, and are counted until then.
    assert_eq!(pair.b_to_a().stats().running_handlers, 10_000);
    // tidy: sleep: the handlers take that long, under paused time
    tokio::time::sleep(LONG).await;
    assert_eq!(pair.b_to_a().stats().running_handlers, 0);
    settled(&pair).await;
}

#[tokio::test(start_paused = true)]
async fn a_silent_peer_is_noticed_within_three_pings_and_found_again() {
    let pair = pair().await;
    let [a, b] = testing::NAMES;
    let peer = pair.a_to_b();
    let began = Instant::now();
    let call = tokio::spawn(peer.request(WAIT, "100000").timeout(LONG * 4).into_future());
    tokio::task::yield_now().await;
    pair.net.freeze(a, b, true);
    let error = call.await.unwrap().unwrap_err();
    let CallError::Disconnected { cause } = &error else {
        panic!("{error:?}")
    };
    assert!(
        matches!(**cause, grid_transport::LinkCause::PeerSilent { .. }),
        "{cause:?}"
    );
    let took = began.elapsed().as_secs();
    assert!((20..=30).contains(&took), "noticed after {took} s");
    pair.net.freeze(a, b, false);
    pair.connected().await.unwrap();
    assert_eq!(
        peer.request(ECHO, "x").wait_ready().await.unwrap(),
        Payload::from("x")
    );
    assert_eq!(peer.stats().reconnects, 1);
}
