//! L01, L02, L14, L25: who is turned away is told why, and who says nothing is given up.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use grid_proto::wire::{ConnectRequest, Timestamp};
use grid_transport::{
    LinkCause, LinkState, Manager, NoAuth, Settings,
    testing::{self, NAMES, Net},
};
use tokio::{
    io::AsyncReadExt,
    net::TcpListener,
    time::{Instant, timeout},
};

use crate::{
    node::{self, A, B, C, Redirect, builder},
    probe::{ends, probe},
    raw::{Next, Raw, request},
};

/// The reasons of a node of ours, as it gives them to a peer by hand.
async fn reasons() -> Vec<String> {
    let manager = builder(B, &[A, C]).build().unwrap();
    let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = manager.serve(socket).unwrap().local_addr().unwrap();
    let late = ConnectRequest {
        time: Timestamp::from(SystemTime::now() - Duration::from_secs(360)),
        ..request(A, "debug")
    };
    let mut reasons = Vec::new();
    for asked in [
        request("http://node-z:9000", "debug"),
        request(C, "debug"),
        late,
        request(A, "no"),
    ] {
        let (_, response) = Raw::connect(address, &asked).await;
        reasons.push(response.rejected_reason.to_string());
    }
    let mut raw = Raw::upgrade(address, crate::raw::PATH).await;
    raw.send_message(&grid_proto::wire::Message::new(
        grid_proto::wire::Op::Request,
        grid_proto::MuxId::new(1),
    ))
    .await;
    let response = raw.read_response().await.unwrap();
    reasons.push(response.rejected_reason.to_string());
    reasons
}

/// All five rejections: the dialer's error has the acceptor's words, and its socket is closed before it dials again.
#[tokio::test]
async fn l01_the_dialers_error_has_the_acceptors_reason() {
    ends(async {
        let reasons = reasons().await;
        for (reason, begin) in reasons.iter().zip([
            "unknown incoming host: http://node-z:9000",
            "grid: expected to be client side, not server side",
            "time difference too large between servers: 6m0.",
            "auth token: invalid token. want empty, got no",
            "unexpected connect op: Request",
        ]) {
            assert!(reason.starts_with(begin), "{reason}");
        }
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let a = builder(A, &[B])
            .dialer(Redirect(listener.local_addr().unwrap()))
            .build()
            .unwrap();
        let peer = a.connection(B).unwrap();
        let mut before: Option<Raw> = None;
        for reason in &reasons {
            let mut raw = Raw::accept(&listener).await;
            if let Some(mut before) = before.take() {
                // Long before the attempt that is under way now comes to its end.
                let end = timeout(Duration::from_secs(1), before.next()).await;
                assert!(matches!(end, Ok(Next::End)), "{end:?}");
            }
            raw.serve_request().await;
            raw.send_response(false, reason).await;
            node::down_because(&peer, |cause| match cause {
                LinkCause::Rejected(_) => cause.to_string().contains(reason).then_some(()),
                _ => None,
            })
            .await;
            let error = peer.request(crate::probe::ECHO, "x").await.unwrap_err();
            assert!(error.to_string().contains(reason), "{error}");
            before = Some(raw);
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn l02_clocks_may_differ_by_less_than_five_minutes_pair() {
    ends(async {
        let at = SystemTime::now();
        for (skew, accepted) in [(299, true), (301, false)] {
            for late in [0, 1] {
                let net = Net::new();
                let node = |index: usize| {
                    let skew = Duration::from_secs(if index == late { skew } else { 0 });
                    testing::node_on(&net, NAMES[index], &NAMES, |builder| {
                        builder.wall_clock(move || at + skew)
                    })
                    .unwrap()
                };
                let nodes = [node(0), node(1)];
                let peer = nodes[0].connection(NAMES[1]).unwrap();
                if accepted {
                    node::connected(&peer).await;
                    continue;
                }
                let reason = node::down_because(&peer, |cause| match cause {
                    LinkCause::Rejected(reason) => Some(reason.to_string()),
                    _ => None,
                });
                let expected = "time difference too large between servers: 5m1s";
                assert_eq!(reason.await, expected);
            }
        }
    })
    .await;
}

/// An acceptor that takes the websocket and then says nothing.
#[tokio::test(start_paused = true)]
async fn l14_a_silent_acceptor_is_given_up_after_5_s_pair() {
    ends(async {
        let net = Net::new();
        // Nobody takes from it: the stream is there, and silent.
        let _silent = net.acceptor(NAMES[1]);
        let a = testing::node_on(&net, NAMES[0], &NAMES, probe).unwrap();
        let peer = a.connection(NAMES[1]).unwrap();
        let began = Instant::now();
        for attempt in 2..5 {
            let cause = node::state(&peer, |state| match state {
                LinkState::Connecting {
                    attempt: number,
                    last,
                } if *number == attempt => last.clone(),
                _ => None,
            })
            .await;
            let limit = Duration::from_secs(5);
            assert!(
                matches!(*cause, LinkCause::HandshakeTimeout { after } if after == limit),
                "{cause}"
            );
            // The gap between attempts counts from their beginning, and is shorter: the next one is under way.
            let dials = net.dials(NAMES[0], NAMES[1]);
            assert!([attempt - 1, attempt].contains(&(dials as u32)), "{dials}");
            let elapsed = began.elapsed().as_secs_f64();
            let expected = 5.0 * f64::from(attempt - 1);
            assert!((elapsed - expected).abs() < 0.1, "{elapsed}");
        }
    })
    .await;
}

/// A dialer that opens a websocket and then says nothing.
#[tokio::test(start_paused = true)]
async fn l14_a_silent_dialer_is_given_up_after_5_s_pair() {
    ends(async {
        let net = Net::new();
        let b = testing::node_on(&net, NAMES[1], &NAMES, probe).unwrap();
        let began = Instant::now();
        let (ours, mut theirs) = tokio::io::duplex(1_024);
        assert!(b.serve_upgraded(Box::new(ours), Bytes::new(), "somewhere"));
        assert_eq!(theirs.read(&mut [0; 64]).await.unwrap(), 0, "the end");
        let elapsed = began.elapsed();
        assert_eq!(elapsed.as_secs(), 5, "{elapsed:?}");
        // Others are served.
        let a = testing::node_on(&net, NAMES[0], &NAMES, probe).unwrap();
        node::connected(&a.connection(NAMES[1]).unwrap()).await;
    })
    .await;
}

#[tokio::test]
async fn l25_an_error_of_the_names_quotes_the_value_and_the_list_unit() {
    ends(async {
        let (a, b) = ("http://node-a:9000", "http://node-b:9000");
        let upper = "http://Node-A:9000";
        let slash = "http://node-a:9000/";
        for (local, list, value) in [
            // Absent.
            (a, &[b][..], a),
            (a, &[], a),
            // Twice: the local one, and another.
            (a, &[a, b, a], a),
            (a, &[a, b, b], b),
            // In another case, on either side.
            (upper, &[a, b], upper),
            (a, &[upper, b], upper),
            // With a trailing slash, on either side.
            (slash, &[a, b], slash),
            (a, &[slash, b], slash),
        ] {
            let error = Manager::builder(local)
                .peers(list.iter().copied())
                .auth(NoAuth)
                .settings(Settings::new())
                .build()
                .map(drop)
                .unwrap_err()
                .to_string();
            assert!(error.contains(value), "{value} is not in: {error}");
            for name in list {
                assert!(error.contains(name), "{name} is not in: {error}");
            }
        }
    })
    .await;
}
