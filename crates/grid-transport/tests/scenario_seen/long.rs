//! T03: long values are cut to 1 KiB, between characters.

use std::time::Duration;

use grid_transport::Manager;
use tokio::net::TcpListener;
use tracing::Level;

use crate::{
    node::{self, A, B, builder},
    probe::*,
    raw::{Raw, request},
    record::Spans,
};

const KIB: usize = 1_024;

/// Cut to at most 1 KiB, and no shorter than it has to be; the rest is what it was.
#[track_caller]
fn cut(shown: &str, whole: &str) {
    assert!(
        shown.len() <= KIB && shown.len() > KIB - 4,
        "{}",
        shown.len()
    );
    let shown = shown.strip_suffix('…').expect("no mark that it was cut");
    assert!(whole.starts_with(shown), "{shown}");
}

/// Texts whose 1,024th byte is inside of a character, for one of them whichever that is; less than 16 KiB, to which texts
/// that end a stream are cut.
fn texts() -> Vec<String> {
    let shifts = ["", "a", "ab", "abc"];
    let long = |shift: &&str| format!("{shift}{}", "€🦀é".repeat(1_500));
    shifts.iter().map(long).collect()
}

async fn long_errors(spans: &Spans, a: &Manager, b: &Manager) {
    let peer = node::link(a, b);
    node::connected(&peer).await;
    for text in texts() {
        spans.clear();
        let error = peer.request(FAIL, text.clone()).await.unwrap_err();
        // The caller has all of it.
        assert_eq!(error.to_string(), text);
        for name in ["grid.call", "grid.handle"] {
            cut(spans.one(name).get("error").unwrap(), &text);
        }
        spans.clear();
        let mut stream = peer
            .stream(FAIL_AFTER, OUT_1, format!("0:{text}"))
            .await
            .unwrap();
        assert_eq!(stream.recv().await.unwrap().unwrap_err().to_string(), text);
        for side in ["client", "server"] {
            cut(spans.stream(side).get("error").unwrap(), &text);
        }
        // A route as long as one likes.
        spans.clear();
        let routed = peer.subroute(&text);
        routed.request(ECHO, "x").await.unwrap_err();
        cut(spans.one("grid.call").get("subroute").unwrap(), &text);
    }
    // What fits is whole.
    spans.clear();
    let text = format!("a{}", "€".repeat(341));
    assert_eq!(text.len(), KIB);
    peer.request(FAIL, text.clone()).await.unwrap_err();
    assert_eq!(spans.one("grid.call").get("error"), Some(&*text));
}

#[tokio::test(start_paused = true)]
async fn t03_long_values_are_cut_pair() {
    ends(async {
        let (spans, _guard) = Spans::capture(Level::DEBUG);
        let pair = pair().await;
        long_errors(&spans, &pair.a, &pair.b).await;
    })
    .await;
}

#[tokio::test]
async fn t03_long_values_are_cut() {
    ends(async {
        let (spans, _guard) = Spans::capture(Level::DEBUG);
        let [a, b] = node::pair(|_, builder| probe(builder)).await;
        long_errors(&spans, &a, &b).await;
        a.shutdown(Duration::ZERO).await;
        b.shutdown(Duration::ZERO).await;
    })
    .await;
}

/// Names and reasons of strangers, in events on either side.
#[tokio::test]
async fn t03_long_values_of_strangers_are_cut() {
    ends(async {
        let (spans, _guard) = Spans::capture(Level::DEBUG);
        let b = builder(B, &[A]).build().unwrap();
        let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = b.serve(socket).unwrap().local_addr().unwrap();
        let name = format!("http://{}", "é".repeat(20_000));
        let (_, response) = Raw::connect(address, &request(&name, "debug")).await;
        assert!(response.rejected_reason.to_string().ends_with(&name));

        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let a = builder(A, &[B])
            .dialer(node::Redirect(listener.local_addr().unwrap()))
            .build()
            .unwrap();
        for _ in 0..2 {
            let mut raw = Raw::accept(&listener).await;
            raw.serve_request().await;
            raw.send_response(false, &"é".repeat(20_000)).await;
            raw.read_to_end().await;
        }
        let peer = a.connection(B).unwrap();
        node::state(&peer, |state| match state {
            grid_transport::LinkState::Connecting { attempt: 3, .. } => Some(()),
            _ => None,
        })
        .await;
        a.shutdown(Duration::ZERO).await;
        b.shutdown(Duration::ZERO).await;
        let mut long = 0;
        for (target, fields) in spans.events() {
            for (field, value) in fields {
                assert!(
                    value.len() <= KIB,
                    "{target}, {field}: {} bytes",
                    value.len()
                );
                long += usize::from(value.ends_with('…') && value.len() > KIB - 4);
            }
        }
        // The rejection on one side; two states and a warning on the other.
        assert!(long >= 3, "{long} values were cut");
    })
    .await;
}
