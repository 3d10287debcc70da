//! L28: signs of a stream that wait behind bulk data. How one ends that the peer has lost is tried on the machine alone, by
//! `grid-proto`: to wait for it takes sixteen periods.

#![allow(
    clippy::print_stdout,
    reason = "what was measured stands in the output of the test"
)]

use std::{cell::Cell, time::Duration};

use tokio::time::sleep;

use crate::{
    node,
    probe::*,
    scale::scaled,
    scene::{Scene, Wire},
};

/// Small, so that credit for it comes back often: that is what shows that the link lives.
const ITEM: usize = 1 << 10;

/// A is told of B's life by pongs that take more than four periods, and B of A's by pings that do; what never comes late is credit.
#[tokio::test]
async fn l28_a_quiet_stream_lives_behind_bulk_data() {
    ends(async {
        let period = scaled("L28", "ms between pings", 400, 10_000);
        let period = Duration::from_millis(period);
        let settings = node::settings()
            .ping_interval(period)
            .stream_ping_interval(period)
            .write_timeout(16 * period)
            .merge_limit(ITEM);
        let scene = Scene::tcp(settings).await;
        let Wire::Tcp(relay) = &scene.wire else {
            unreachable!("it is TCP")
        };
        let peer = scene.a_to_b();
        let mut quiet = peer.stream(WAITS, OUT_1, "").await.unwrap();
        // Ten periods of what may be under way.
        let rate = (100 * ITEM) as f64 / (10 * period).as_secs_f64();
        relay.shape(|shape| shape.rate = Some(rate as usize));
        let bulk = peer.stream(COUNT_100, IN_100, "").await.unwrap();
        let sending = tokio::spawn(async move { while bulk.send(vec![0; ITEM]).await.is_ok() {} });
        let longest = Cell::new(Duration::ZERO);
        let pings = async {
            loop {
                let trip = peer.ping(LONG + 20 * period).await.unwrap();
                longest.set(longest.get().max(trip));
            }
        };
        tokio::select! {
            ended = quiet.recv() => panic!("it ended: {ended:?}"),
            () = pings => {}
            // tidy: sleep: that nothing happens for so long is the point
            () = sleep(25 * period) => {}
        }
        let trip = longest.get();
        println!("L28: {trip:?} there and back");
        assert!(trip > 4 * period, "nothing was late: {trip:?}");
        assert!(!sending.is_finished());
        assert_eq!(scene.b_to_a().stats().serving_streams, 2);
        assert_eq!((peer.stats().open_streams, peer.stats().reconnects), (2, 0));
        scene.shutdown().await;
    })
    .await;
}
