//! Deadlines of requests and streams (C04, C18).

use std::time::Duration;

use grid_proto::wire::{Flags, Op};
use grid_transport::{CallError, HandlerId, Payload, Settings, StreamHandler};
use tokio::time::sleep;

use crate::{
    node,
    nodes::{Nodes, Steps, memory, recv, soon, steps},
    peer::{Peer, callee, numbered},
    probe::{BOTH_1, WAIT, probe},
    scale::scaled,
};

async fn by_default(nodes: Nodes, default: Duration) {
    let peer = nodes.a_to_b();
    let (longer, explicit) = (default * 3 / 2, default * 5);
    let millis = longer.as_millis().to_string();
    let patient = peer.request(WAIT, millis.clone()).timeout(explicit);
    let patient = tokio::spawn(patient.into_future());
    let watch = nodes.watch();
    let error = peer.request(WAIT, millis.clone()).await.unwrap_err();
    assert!(matches!(error, CallError::Deadline), "{error:?}");
    let second = Duration::from_secs(1);
    let took = watch.within(default + second);
    assert!(took >= default - second, "failed after {took:?}");
    // Its handler ran longer than any call may without being told to.
    assert_eq!(soon(patient).await.unwrap().unwrap(), Payload::from(millis));
    nodes.settled().await;
}

#[tokio::test]
async fn c04_the_default_deadline_is_kept_and_longer_ones_hold() {
    let default = Duration::from_secs(scaled("C04", "seconds by default", 2, 60));
    let settings = node::settings().default_deadline(default);
    let nodes = Nodes::tcp(|builder| probe(builder).settings(settings.clone())).await;
    by_default(nodes, default).await;
}

#[tokio::test(start_paused = true)]
async fn c04_the_default_deadline_is_kept_and_longer_ones_hold_pair() {
    let default = Settings::new().default_deadline;
    assert_eq!(default, Duration::from_secs(60));
    by_default(memory().await, default).await;
}

const WAITS: HandlerId = HandlerId::new(200);
const DEADLINE: Duration = Duration::from_millis(50);

fn waits(steps: &Steps) -> StreamHandler {
    let steps = steps.clone();
    StreamHandler::new(WAITS, BOTH_1, move |call| {
        let steps = steps.clone();
        async move {
            let _dropped = steps.on_drop("dropped");
            steps.at("began");
            call.send("one").await?;
            std::future::pending().await
        }
    })
}

/// It ends at most `late` behind its deadline.
async fn a_streams_deadline(nodes: Nodes, mut reached: crate::nodes::Reached, late: Duration) {
    for read in [false, true] {
        let watch = nodes.watch();
        let open = nodes.a_to_b().stream(WAITS, BOTH_1, "x").timeout(DEADLINE);
        let mut stream = open.await.unwrap();
        reached.expect("began").await;
        if !read {
            // The handler ends though nobody looks.
            reached.expect("dropped").await;
        }
        assert_eq!(
            recv(&mut stream).await.unwrap().unwrap(),
            Payload::from("one")
        );
        let end = recv(&mut stream).await.unwrap().unwrap_err();
        assert!(matches!(end, CallError::Deadline), "{end:?}");
        assert!(recv(&mut stream).await.is_none());
        let took = watch.within(DEADLINE + late);
        assert!(took >= DEADLINE - Duration::from_millis(1), "{took:?}");
        if read {
            reached.expect("dropped").await;
        }
    }
    nodes.settled().await;
}

#[tokio::test]
async fn c18_a_streams_deadline_ends_both_sides() {
    let (steps, reached) = steps();
    let nodes = Nodes::tcp(|builder| probe(builder).register(waits(&steps))).await;
    a_streams_deadline(nodes, reached, Duration::from_secs(1)).await;
}

#[tokio::test(start_paused = true)]
async fn c18_a_streams_deadline_ends_both_sides_pair() {
    let (steps, reached) = steps();
    let nodes = Nodes::memory(|builder| probe(builder).register(waits(&steps))).await;
    a_streams_deadline(nodes, reached, Duration::from_millis(100)).await;
}

/// A node that notices the deadline first says no more than that the call is over.
#[tokio::test]
async fn c18_a_disconnect_that_comes_first_is_the_deadline_too() {
    let (_manager, link, listener) = callee().await;
    let mut peer = Peer::accept(&listener).await;
    for (mux, read) in [(1, false), (2, true)] {
        let open = link.stream(WAITS, BOTH_1, "x").wait_ready();
        let mut stream = open.timeout(DEADLINE).await.unwrap();
        let mut connect = peer.message().await;
        // The one before was told that it is over.
        while connect.op == Op::DisconnectServerMux {
            connect = peer.message().await;
        }
        assert_eq!((connect.op, connect.mux.get()), (Op::ConnectMux, mux));
        assert!(
            (1..=50).contains(&connect.deadline_ms),
            "{}",
            connect.deadline_ms
        );
        let reading = async {
            match read {
                true => recv(&mut stream).await,
                false => None,
            }
        };
        let ending = async {
            // tidy: sleep: the deadline is the scenario; within its last 5 ms, if the machine lets us
            sleep(DEADLINE - Duration::from_millis(3)).await;
            let gone = numbered(Op::DisconnectClientMux, mux, 0, Flags::empty(), "");
            peer.send(&gone).await;
        };
        let (early, ()) = tokio::join!(reading, ending);
        let end = match read {
            true => early,
            false => recv(&mut stream).await,
        };
        let end = end.unwrap().unwrap_err();
        assert!(matches!(end, CallError::Deadline), "{end:?}");
    }
}
