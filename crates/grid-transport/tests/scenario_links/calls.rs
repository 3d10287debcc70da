//! L06, L07, L08: calls that begin, wait and are stuck at the very moment their link is lost.

use std::{future::IntoFuture, time::Duration};

use grid_transport::{CallError, Payload, Settings};
use tokio::{
    task::JoinSet,
    time::{Instant, timeout},
};

use crate::{
    node,
    probe::*,
    relay::End,
    scale::scaled,
    scene::{Scene, again},
};

/// An outcome that a cut may have; how it came out otherwise is checked by who calls.
fn is_cut(error: &CallError) -> bool {
    matches!(
        error,
        CallError::Disconnected { .. } | CallError::NotConnected { .. }
    )
}

#[tokio::test(start_paused = true)]
async fn l06_every_call_around_a_cut_comes_to_an_end_pair() {
    ends(async {
        let pair = pair().await;
        let (mut answered, mut cut) = (0, 0);
        let rounds = scaled("L06", "calls at a cut", 2_000, 100_000) / 20;
        for round in 0..rounds {
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
            answered > rounds && cut > rounds,
            "{answered} answered, {cut} cut"
        );
        pair.connected().await.unwrap();
        settled(&pair).await;
        assert_eq!(pair.a_to_b().stats().reconnects, rounds);
    })
    .await;
}

/// The same over TCP, where a reset hits whatever is under way.
#[tokio::test]
async fn l06_every_call_around_a_cut_comes_to_an_end() {
    ends(async {
        let settings = node::settings().redial_interval(Duration::from_millis(1));
        let scene = Scene::tcp(settings).await;
        let (mut answered, mut cut) = (0, 0);
        let calls = scaled("L06", "calls at a cut over TCP", 2_000, 100_000);
        for round in 0..calls / 20 {
            let mut calls = JoinSet::new();
            for call in 0..20 {
                let peer = if call % 2 == 0 {
                    scene.a_to_b()
                } else {
                    scene.b_to_a()
                };
                calls.spawn(async move {
                    for _ in 0..call {
                        tokio::task::yield_now().await;
                    }
                    let payload = format!("{round}/{call}");
                    let answer = peer.request(ECHO, payload.clone()).into_future();
                    let answer = timeout(Duration::from_secs(1), answer).await;
                    let answer = answer.expect("a call that takes longer than a second");
                    answer.map(|answer| assert_eq!(answer, Payload::from(payload)))
                });
            }
            // So many are answered before; the others are wherever they are.
            let mut before: i32 = round % 12;
            while let Some(call) = {
                if before == 0 {
                    scene.end(End::Reset);
                }
                before -= 1;
                calls.join_next().await
            } {
                match call.unwrap() {
                    Ok(()) => answered += 1,
                    Err(error) if is_cut(&error) => cut += 1,
                    Err(error) => panic!("{error:?}"),
                }
            }
            again(&scene.a_to_b(), round as u64 + 1).await;
            again(&scene.b_to_a(), round as u64 + 1).await;
        }
        assert!(
            answered > calls / 10 && cut > calls / 10,
            "{answered} answered, {cut} cut"
        );
        assert_eq!(scene.a_to_b().stats().open_requests, 0);
        scene.shutdown().await;
    })
    .await;
}

/// The peer is frozen, so many calls wait for it, and then the link is reset.
async fn pending_calls(scene: &Scene, calls: usize) {
    let peer = scene.a_to_b();
    scene.freeze(true);
    let mut pending = JoinSet::new();
    for _ in 0..calls {
        pending.spawn(peer.request(ECHO, "x").timeout(LONG).into_future());
    }
    wait_while(|| peer.stats().open_requests < calls).await;
    let began = Instant::now();
    scene.end(End::Reset);
    while let Some(call) = pending.join_next().await {
        let error = call.unwrap().unwrap_err();
        assert!(matches!(error, CallError::Disconnected { .. }), "{error:?}");
    }
    let returned = began.elapsed();
    assert!(returned < Duration::from_secs(5), "{returned:?}");
    scene.freeze(false);
    again(&peer, 1).await;
    let up = began.elapsed();
    assert!(up < Duration::from_secs(10), "{up:?}");
    assert_eq!(text(&peer.request(ECHO, "x").await.unwrap()), "x");
    assert_eq!(peer.stats().open_requests, 0);
}

#[tokio::test(start_paused = true)]
async fn l07_all_calls_to_a_frozen_peer_return_when_the_link_is_reset_pair() {
    ends(async {
        let calls = scaled("L07", "pending calls", 10_000, 60_000);
        pending_calls(&Scene::memory(Settings::new()).await, calls).await;
    })
    .await;
}

#[tokio::test]
async fn l07_all_calls_to_a_frozen_peer_return_when_the_link_is_reset() {
    ends(async {
        let calls = scaled("L07", "pending calls over TCP", 10_000, 60_000);
        let settings = Settings::new().ping_interval(LONG).write_timeout(LONG);
        pending_calls(&Scene::tcp(settings).await, calls).await;
    })
    .await;
}

/// So many streams whose consumers don't look, and a handler that is in the middle of each.
async fn stuck_consumers(scene: &Scene, consumers: usize) {
    let peer = scene.a_to_b();
    let mut streams = Vec::new();
    for _ in 0..consumers {
        streams.push(peer.stream(ITEMS, OUT_1, "100").await.unwrap());
    }
    // Behind them: B serves them all.
    peer.request(ECHO, "fence").await.unwrap();
    assert_eq!(scene.b_to_a().stats().serving_streams, consumers);
    let began = Instant::now();
    scene.end(End::Reset);
    again(&peer, 1).await;
    again(&scene.b_to_a(), 1).await;
    let up = began.elapsed();
    assert!(up < Duration::from_secs(5), "{up:?}");
    assert_eq!(text(&peer.request(ECHO, "x").await.unwrap()), "x");
    // Nothing is left of their handlers, although nobody has looked yet.
    assert_eq!(scene.b_to_a().stats().running_handlers, 0);
    for mut stream in streams {
        loop {
            match stream.recv().await {
                Some(Ok(_)) => {}
                Some(Err(CallError::Disconnected { .. })) => break,
                other => panic!("{other:?}"),
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn l08_stuck_consumers_hold_up_no_reconnect_pair() {
    ends(async {
        stuck_consumers(&Scene::memory(Settings::new()).await, 1_000).await;
    })
    .await;
}

#[tokio::test]
async fn l08_stuck_consumers_hold_up_no_reconnect() {
    ends(async {
        stuck_consumers(&Scene::tcp(Settings::new()).await, 1_000).await;
    })
    .await;
}

/// Single handlers run to their end when their link is cut, and are counted until then.
#[tokio::test(start_paused = true)]
async fn many_handlers_outlive_their_link() {
    ends(async {
        let pair = pair().await;
        let peer = pair.a_to_b();
        let mut calls = JoinSet::new();
        for _ in 0..10_000 {
            calls.spawn(peer.request(WAIT, "50000").timeout(LONG).into_future());
        }
        wait_while(|| peer.stats().open_requests < 10_000).await;
        // Behind all that was sent before: B serves them all.
        peer.request(ECHO, "fence").await.unwrap();
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
        pair.connected().await.unwrap();
        assert_eq!(pair.b_to_a().stats().running_handlers, 10_000);
        // tidy: sleep: the handlers take that long, under paused time
        tokio::time::sleep(LONG).await;
        assert_eq!(pair.b_to_a().stats().running_handlers, 0);
        settled(&pair).await;
    })
    .await;
}
