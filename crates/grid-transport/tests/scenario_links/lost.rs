//! L05: however the connection is lost, each open call gets the one right error with its cause.

use std::{sync::Arc, time::Duration};

use grid_transport::{CallError, LinkCause, LinkState, SendError, Settings, Stream};
use tokio::{task::JoinHandle, time::timeout};

use crate::{
    node,
    probe::*,
    raw::PATIENCE,
    relay::End,
    scene::{Scene, Wire},
};

#[derive(Clone, Copy, Debug, PartialEq)]
enum Way {
    Fin,
    Reset,
    PingTimeout,
    WriteTimeout,
    PeerSaysSo,
    PeerRestarts,
    LocalShutdown,
    Refused,
}

const WAYS: [Way; 8] = [
    Way::Fin,
    Way::Reset,
    Way::PingTimeout,
    Way::WriteTimeout,
    Way::PeerSaysSo,
    Way::PeerRestarts,
    Way::LocalShutdown,
    Way::Refused,
];

const PING: Duration = Duration::from_millis(100);
const WRITE: Duration = Duration::from_millis(300);

fn settings(way: Way) -> Settings {
    let settings = node::settings()
        .stream_ping_interval(LONG)
        .write_timeout(LONG);
    match way {
        Way::PingTimeout => settings.ping_interval(PING),
        Way::WriteTimeout => settings.write_timeout(WRITE),
        _ => settings,
    }
}

/// Asserts that an error is the one for this way, with its cause.
fn check(way: Way, kind: &str, error: &CallError) {
    let disconnected = |wanted: &dyn Fn(&LinkCause) -> bool| match error {
        CallError::Disconnected { cause } => wanted(cause),
        _ => false,
    };
    let right = match way {
        Way::Fin => disconnected(
            &|cause| matches!(cause, LinkCause::Lost(text) if *text == "end of stream"),
        ),
        Way::Reset | Way::PeerRestarts => disconnected(
            &|cause| matches!(cause, LinkCause::Lost(text) if text.to_string().contains("reset")),
        ),
        Way::PingTimeout => disconnected(
            &|cause| matches!(cause, LinkCause::PeerSilent { after } if *after >= 2 * PING),
        ),
        Way::WriteTimeout => disconnected(
            &|cause| matches!(cause, LinkCause::WriteStalled { after } if *after == WRITE),
        ),
        Way::PeerSaysSo => disconnected(&|cause| {
            matches!(
                cause,
                LinkCause::ClosedByPeer {
                    code: Some(1001),
                    ..
                }
            )
        }),
        Way::LocalShutdown => matches!(error, CallError::ShuttingDown),
        Way::Refused => matches!(
            error,
            CallError::NotConnected { cause } if !matches!(**cause, LinkCause::NotTried)
        ),
    };
    assert!(right, "{way:?}, {kind}: {error:?}");
    let refused = way == Way::Refused;
    assert_eq!(error.may_have_executed(), !refused, "{way:?}, {kind}");
    assert_eq!(error.is_retryable(), refused, "{way:?}, {kind}");
}

/// A call of each kind that the handler is busy with.
struct Open {
    single: JoinHandle<Result<grid_transport::Payload, CallError>>,
    one_way: Stream,
    two_way: Stream,
}

impl Open {
    async fn new(scene: &Scene) -> Self {
        let peer = scene.a_to_b();
        let single = peer.request(WAIT, "600000").timeout(Duration::MAX);
        let single = tokio::spawn(single.into_future());
        let one_way = peer.stream(WAITS, OUT_1, "x").await.unwrap();
        let mut two_way = peer.stream(TWO_WAY, BOTH_1, "x").await.unwrap();
        two_way.send("hello").await.unwrap();
        assert_eq!(text(&two_way.recv().await.unwrap().unwrap()), "hello");
        // Behind them: B has them all.
        peer.request(ECHO, "fence").await.unwrap();
        assert_eq!(peer.stats().open_requests, 1);
        Self {
            single,
            one_way,
            two_way,
        }
    }

    /// How they have ended: the single call, the one-way stream, the two-way stream.
    async fn errors(mut self) -> [(&'static str, CallError); 3] {
        let end = "a call hangs";
        let single = timeout(PATIENCE, self.single).await.expect(end).unwrap();
        let one_way = timeout(PATIENCE, self.one_way.recv()).await.expect(end);
        let two_way = timeout(PATIENCE, self.two_way.recv()).await.expect(end);
        let two_way = two_way.expect("a clean end").unwrap_err();
        // Both halves of it say the same.
        match self.two_way.send("more").await {
            Err(SendError::Call(error)) => {
                assert_eq!(error.to_string(), two_way.to_string());
            }
            other => panic!("{other:?}"),
        }
        [
            ("single", single.unwrap_err()),
            ("one-way", one_way.expect("a clean end").unwrap_err()),
            ("two-way", two_way),
        ]
    }
}

/// Loses the connection, and checks the three errors.
async fn lose(way: Way, scene: &mut Scene) {
    let peer = scene.a_to_b();
    if way == Way::Refused {
        scene.refuse();
        scene.end(End::Reset);
        // It was tried again, in vain.
        node::state(&peer, |state| match state {
            LinkState::Connecting { attempt: 3.., .. } => Some(()),
            _ => None,
        })
        .await;
        let single = peer.request(ECHO, "x").await.unwrap_err();
        let one_way = peer.stream(WAITS, OUT_1, "x").await.unwrap_err();
        let two_way = peer.stream(TWO_WAY, BOTH_1, "x").await.unwrap_err();
        for (kind, error) in [
            ("single", single),
            ("one-way", one_way),
            ("two-way", two_way),
        ] {
            check(way, kind, &error);
            if let (Wire::Memory(_), CallError::NotConnected { cause }) = (&scene.wire, &error) {
                assert!(matches!(**cause, LinkCause::Dial(_)), "{cause:?}");
            }
        }
        return;
    }
    let open = Open::new(scene).await;
    let before = match peer.state() {
        LinkState::Connected { peer, .. } => peer,
        other => panic!("{other}"),
    };
    let mut stuck = None;
    match way {
        Way::Fin => scene.end(End::Fin),
        Way::Reset => scene.end(End::Reset),
        Way::PingTimeout => scene.freeze(true),
        Way::WriteTimeout => {
            scene.freeze(true);
            let much = peer.request(ECHO, vec![0; 20 << 20]);
            stuck = Some(tokio::spawn(much.into_future()));
        }
        Way::PeerSaysSo => scene.b.remove_peer(scene.a.local()).unwrap(),
        Way::PeerRestarts => scene.restart_b().await,
        Way::LocalShutdown => {
            scene.a.shutdown(Duration::ZERO).await;
        }
        Way::Refused => unreachable!("above"),
    }
    for (kind, error) in open.errors().await {
        check(way, kind, &error);
    }
    if let Some(stuck) = stuck {
        let error = timeout(PATIENCE, stuck).await.expect("hangs").unwrap();
        check(way, "the large one", &error.unwrap_err());
    }
    scene.freeze(false);
    if way == Way::PeerRestarts {
        let after = node::state(&peer, |state| match state {
            LinkState::Connected { peer, .. } => Some(*peer),
            _ => None,
        })
        .await;
        assert_ne!(before, after, "not the one before");
        assert_eq!(text(&peer.request(ECHO, "x").await.unwrap()), "x");
    }
}

#[tokio::test(start_paused = true)]
async fn l05_each_of_24_losses_has_its_error_pair() {
    ends(async {
        for way in WAYS {
            lose(way, &mut Scene::memory(settings(way)).await).await;
        }
    })
    .await;
}

#[tokio::test]
async fn l05_each_of_24_losses_has_its_error() {
    ends(async {
        for way in WAYS {
            let mut scene = Scene::tcp(settings(way)).await;
            lose(way, &mut scene).await;
            scene.shutdown().await;
        }
    })
    .await;
}

/// A port where nobody listens.
#[tokio::test]
async fn l05_a_refused_connection_is_the_cause() {
    ends(async {
        let port = node::dead_port();
        let name = format!("http://{}", port.local_addr().unwrap());
        let mut locals = (1..).map(|number| format!("http://127.0.0.1:{number}"));
        let local = locals
            .find(|local| grid_proto::local_dials(local, &name))
            .unwrap();
        let a = node::builder(&local, &[&name])
            .dialer(grid_transport::TcpDialer::new())
            .build()
            .unwrap();
        let peer = a.connection(&name).unwrap();
        let refused = |cause: &Arc<LinkCause>| match &**cause {
            LinkCause::Dial(error) => error.kind() == std::io::ErrorKind::ConnectionRefused,
            _ => false,
        };
        node::state(&peer, |state| state.last_cause().is_some().then_some(())).await;
        let single = peer.request(ECHO, "x").await.unwrap_err();
        let one_way = peer.stream(WAITS, OUT_1, "x").await.unwrap_err();
        let two_way = peer.stream(TWO_WAY, BOTH_1, "x").await.unwrap_err();
        for error in [single, one_way, two_way] {
            assert!(
                matches!(&error, CallError::NotConnected { cause } if refused(cause)),
                "{error:?}"
            );
        }
    })
    .await;
}
