//! L10, L11, L13: peers that are frozen, and peers that are only busy.

use std::time::Duration;

use grid_proto::{
    MuxId,
    wire::{Message, Op},
};
use grid_transport::{CallError, LinkCause, Settings};
use tokio::{
    net::TcpListener,
    time::{Instant, sleep, timeout},
};

use crate::{
    node::{self, A, B, Redirect, builder},
    probe::*,
    raw::{PATIENCE, Raw},
    scale::scaled,
    scene::{Scene, down},
};

/// How long it takes until A is offline once B is frozen, in ping intervals since B was last heard: not before `heard`,
/// and but a moment after it.
async fn offline_after(scene: &Scene, interval: Duration, heard: Instant) -> f64 {
    let peer = scene.a_to_b();
    scene.freeze(true);
    down(&peer).await;
    let took = heard.elapsed();
    let state = peer.state();
    let cause = state.last_cause().unwrap();
    assert!(matches!(**cause, LinkCause::PeerSilent { .. }), "{cause}");
    took.as_secs_f64() / interval.as_secs_f64()
}

/// Waits until three pongs have come, and says when the third had not yet; there is nothing else that A gets.
async fn third_pong(scene: &Scene, interval: Duration) -> Instant {
    let peer = scene.a_to_b();
    let pongs = async {
        let mut before = Instant::now();
        // Each side pings: of what A gets half are pongs.
        while peer.stats().messages_in < 6 || peer.stats().round_trip.is_none() {
            before = Instant::now();
            // tidy: sleep: pings come by the clock
            sleep(Duration::from_millis(1)).await;
        }
        before
    };
    timeout(PATIENCE + 10 * interval, pongs)
        .await
        .expect("no pongs")
}

#[tokio::test(start_paused = true)]
async fn l10_a_frozen_peer_is_noticed_in_2_to_3_intervals_pair() {
    ends(async {
        let interval = Duration::from_secs(10);
        let heard = Instant::now();
        let scene = Scene::memory(Settings::new()).await;
        let right_away = offline_after(&scene, interval, heard).await;
        assert!((2.0..=3.0).contains(&right_away), "{right_away}");
        let scene = Scene::memory(Settings::new()).await;
        let heard = third_pong(&scene, interval).await;
        let later = offline_after(&scene, interval, heard).await;
        assert!((2.0..=3.0).contains(&later), "{later}");
        // And it is found again.
        scene.freeze(false);
        let began = Instant::now();
        scene.up().await;
        assert!(
            began.elapsed() < Duration::from_secs(8),
            "{:?}",
            began.elapsed()
        );
    })
    .await;
}

#[tokio::test]
async fn l10_a_frozen_peer_is_noticed_in_2_to_3_intervals() {
    ends(async {
        let interval = Duration::from_millis(scaled("L10", "ms between pings", 400, 10_000));
        let settings = node::settings().ping_interval(interval);
        for pongs in [false, true] {
            let mut heard = Instant::now();
            let scene = Scene::tcp(settings.clone()).await;
            if pongs {
                heard = third_pong(&scene, interval).await;
            }
            let intervals = offline_after(&scene, interval, heard).await;
            // A machine that is busy is late, by up to a second here.
            let late = 1.0 / interval.as_secs_f64();
            assert!((2.0..=3.0 + late).contains(&intervals), "{intervals}");
            scene.freeze(false);
            scene.up().await;
            scene.shutdown().await;
        }
    })
    .await;
}

/// B is frozen, and A sends it 10 MiB.
async fn write_into_ice(scene: &Scene, write_timeout: Duration) {
    let peer = scene.a_to_b();
    scene.freeze(true);
    let began = Instant::now();
    let large = peer.request(ECHO, vec![7; 10 << 20]).into_future();
    let small = peer.request(ECHO, "x").into_future();
    let (large, small) = tokio::join!(tokio::spawn(large), tokio::spawn(small));
    let took = began.elapsed();
    assert!(took >= write_timeout, "{took:?}");
    assert!(took <= write_timeout + Duration::from_secs(2), "{took:?}");
    for error in [large.unwrap().unwrap_err(), small.unwrap().unwrap_err()] {
        let CallError::Disconnected { cause } = &error else {
            panic!("{error:?}")
        };
        assert!(
            matches!(**cause, LinkCause::WriteStalled { after } if after == write_timeout),
            "{cause}"
        );
    }
    scene.freeze(false);
    scene.up().await;
    assert_eq!(text(&peer.request(ECHO, "x").await.unwrap()), "x");
    assert_eq!(peer.stats().reconnects, 1);
}

#[tokio::test(start_paused = true)]
async fn l11_calls_to_a_frozen_peer_fail_by_the_write_timeout_pair() {
    ends(async {
        let scene = Scene::memory(Settings::new()).await;
        write_into_ice(&scene, Duration::from_secs(4)).await;
    })
    .await;
}

#[tokio::test]
async fn l11_calls_to_a_frozen_peer_fail_by_the_write_timeout() {
    ends(async {
        let limit = Duration::from_millis(scaled("L11", "ms of write timeout", 500, 4_000));
        let scene = Scene::tcp(node::settings().write_timeout(limit)).await;
        write_into_ice(&scene, limit).await;
        scene.shutdown().await;
    })
    .await;
}

/// A peer that answers no ping for six intervals, but sends something else in each.
#[tokio::test]
async fn l13_who_sends_is_alive() {
    ends(async {
        let interval = Duration::from_millis(scaled("L13", "ms between pings", 400, 10_000));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let a = builder(A, &[B])
            .settings(node::settings().ping_interval(interval))
            .dialer(Redirect(listener.local_addr().unwrap()))
            .build()
            .unwrap();
        let peer = a.connection(B).unwrap();
        let mut raw = Raw::accept(&listener).await;
        raw.serve_request().await;
        raw.send_response(true, "").await;
        node::connected(&peer).await;
        for _ in 0..24 {
            // tidy: sleep: a peer that has better things to do than to answer pings
            sleep(interval / 4).await;
            let answer = Message::new(Op::Response, MuxId::new(1));
            raw.send_message(&answer).await;
        }
        assert!(peer.state().is_connected(), "{}", peer.state());
        assert_eq!(peer.stats().round_trip, None, "no pong came");
        // Silence ends it.
        let took = down(&peer).await;
        assert!(took >= interval, "{took:?}");
        let state = peer.state();
        let cause = state.last_cause().unwrap();
        assert!(matches!(**cause, LinkCause::PeerSilent { .. }), "{cause}");
    })
    .await;
}
