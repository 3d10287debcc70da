//! Spans of links: one for each connection, on each of its nodes.

use std::time::Duration;

use grid_transport::{LinkCause, Manager, SharedSecret, testing};
use tokio::net::TcpListener;
use tracing::Level;

use crate::{
    checks::authority,
    logs::Logs,
    node::{self, A, B, builder},
    probe::*,
    raw::{Raw, request},
    record::{Span, Spans},
};

const SECRET: &str = "rXWB0p0d4u1mEpZJmA2cYq0r4Q9t8s7h";

/// Those of a node, in the order in which they began.
fn of(spans: &Spans, node: &str) -> Vec<Span> {
    let mut links = spans.named("grid.link");
    links.retain(|span| span.get("local") == Some(node));
    links
}

/// The only one of a node, which says who is there, as soon as it begins.
#[track_caller]
fn begun(spans: &Spans, local: &Manager, peer: &Manager) -> Span {
    let [span] = &of(spans, local.local())[..] else {
        panic!("{:#?}", spans.named("grid.link"));
    };
    let dials = local.connection(peer.local()).unwrap().stats().dials;
    let dialed = authority(if dials { peer.local() } else { local.local() });
    let instance = peer.id().to_string();
    for (field, value) in [
        ("peer", peer.local()),
        ("dials", if dials { "true" } else { "false" }),
        ("instance", &instance),
        ("ours", "true"),
        ("rpc.system.name", "grid"),
        ("server.address", dialed.0),
        ("server.port", dialed.1),
    ] {
        assert_eq!(span.get(field), Some(value), "{field}: {span:?}");
    }
    assert_eq!(span.target, "grid::link");
    assert!(span.root);
    span.clone()
}

#[track_caller]
fn ended(span: &Span, outcome: &str, failed: bool) {
    assert!(span.closed, "{span:?}");
    assert_eq!(span.get("outcome"), Some(outcome), "{span:?}");
    let error = failed.then_some(outcome);
    assert_eq!(span.get("error.type"), error, "{span:?}");
    assert_eq!(span.get("error").is_some(), failed, "{span:?}");
    let status = failed.then_some("ERROR");
    assert_eq!(span.get("otel.status_code"), status, "{span:?}");
    assert!(span.number("bytes_in") > 0.0, "{span:?}");
    assert!(span.number("bytes_out") > 0.0, "{span:?}");
    assert!(span.number("duration") >= 0.0, "{span:?}");
}

#[tokio::test]
async fn a_link_has_one_span_on_each_node_and_no_secret_is_in_it() {
    ends(async {
        let (spans, _guard) = Spans::capture(Level::TRACE);
        let nodes = node::pair(|_, builder| probe(builder).auth(SharedSecret::new(SECRET))).await;
        let links = [
            node::link(&nodes[0], &nodes[1]),
            node::link(&nodes[1], &nodes[0]),
        ];
        for link in &links {
            node::connected(link).await;
            link.request(ECHO, "hello").await.unwrap();
        }
        // None is entered while its task waits.
        assert!(spans.inside().is_none(), "{:?}", spans.inside());
        for (local, peer) in [(0, 1), (1, 0)] {
            let span = begun(&spans, &nodes[local], &nodes[peer]);
            assert!(!span.closed && span.get("outcome").is_none(), "{span:?}");
        }
        nodes[1].shutdown(Duration::ZERO).await;
        node::down_because(&links[0], |_| Some(())).await;
        nodes[0].shutdown(Duration::ZERO).await;
        ended(&begun(&spans, &nodes[1], &nodes[0]), "shutting_down", false);
        ended(
            &begun(&spans, &nodes[0], &nodes[1]),
            "closed_by_remote",
            false,
        );
        for name in ["grid.link", "grid.call", "grid.handle"] {
            for span in spans.named(name) {
                let shown = format!("{span:?}");
                for secret in [SECRET, "grid1.", "hello"] {
                    assert!(!shown.contains(secret), "{shown}");
                }
            }
        }
    })
    .await;
}

/// A link that is lost has failed, and the connection after it has a span of its own.
#[tokio::test(start_paused = true)]
async fn each_connection_of_a_link_has_its_own_span_pair() {
    ends(async {
        let (spans, _guard) = Spans::capture(Level::DEBUG);
        let pair = testing::pair(probe).await.unwrap();
        // tidy: sleep: how long it is up, under paused time
        tokio::time::sleep(Duration::from_secs(7)).await;
        pair.cut();
        node::down_because(&pair.a_to_b(), |_| Some(())).await;
        pair.connected().await.unwrap();
        for (node, link) in [(&pair.a, pair.a_to_b()), (&pair.b, pair.b_to_a())] {
            let [lost, live] = &of(&spans, node.local())[..] else {
                panic!("{:#?}", spans.named("grid.link"));
            };
            ended(lost, "lost", true);
            let cause = link.stats().last_cause.unwrap().to_string();
            assert_eq!(lost.get("error"), Some(&*cause));
            assert_eq!(lost.number("duration"), 7.0);
            assert!(!live.closed);
        }
        let removed = pair.b_to_a();
        pair.b.remove_peer(pair.a.local()).unwrap();
        node::down_because(&removed, |cause| {
            matches!(cause, LinkCause::Removed).then_some(())
        })
        .await;
        ended(&of(&spans, pair.b.local())[1], "removed", false);
    })
    .await;
}

/// Who has not the key by which nodes of this project know each other.
#[tokio::test]
async fn a_span_says_that_a_remote_is_none_of_ours() {
    ends(async {
        let (spans, _guard) = Spans::capture(Level::DEBUG);
        let manager = builder(B, &[A]).build().unwrap();
        let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = manager.serve(socket).unwrap().local_addr().unwrap();
        let (raw, response) = Raw::connect(address, &request(A, "debug")).await;
        assert!(response.accepted);
        node::connected(&manager.connection(A).unwrap()).await;
        let [span] = &spans.named("grid.link")[..] else {
            panic!("one")
        };
        assert_eq!(span.get("ours"), Some("false"));
        drop(raw);
        manager.shutdown(Duration::ZERO).await;
    })
    .await;
}

/// The states of a link stand in the span of the connection that brought them about.
#[tokio::test(start_paused = true)]
async fn what_happens_to_a_link_is_logged_in_its_span_pair() {
    ends(async {
        let (logs, _guard) = Logs::capture_at(Level::DEBUG);
        let pair = testing::pair(probe).await.unwrap();
        pair.cut();
        node::down_because(&pair.a_to_b(), |_| Some(())).await;
        pair.connected().await.unwrap();
        for words in ["connected to instance", ", after: connection lost"] {
            let told = |line: &&String| line.contains("link state") && line.contains(words);
            let lines = logs.lines();
            let told: Vec<_> = lines.iter().filter(told).collect();
            assert!(!told.is_empty(), "{words}: {lines:#?}");
            for line in told {
                assert!(line.contains(" grid.link{"), "{line}");
            }
        }
    })
    .await;
}
