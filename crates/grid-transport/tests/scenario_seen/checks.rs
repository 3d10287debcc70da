//! What is looked for in the spans of calls.

use grid_transport::HandlerId;

use crate::record::{Span, Spans};

/// Its one span on the caller's node, and its one on the handler's.
#[track_caller]
pub(crate) fn both(spans: &Spans) -> (Span, Span) {
    let pair = (spans.one("grid.call"), spans.one("grid.handle"));
    assert_eq!(pair.0.target, "grid::call");
    assert_eq!(pair.1.target, "grid::handle");
    assert!(spans.named("grid.stream").is_empty());
    sides(spans, pair)
}

/// The same of a stream.
#[track_caller]
pub(crate) fn both_of_stream(spans: &Spans) -> (Span, Span) {
    let pair = (spans.stream("client"), spans.stream("server"));
    for span in [&pair.0, &pair.1] {
        assert_eq!(span.target, "grid::stream");
    }
    for name in ["grid.call", "grid.handle"] {
        assert!(spans.named(name).is_empty(), "a stream has one span");
    }
    sides(spans, pair)
}

#[track_caller]
fn sides(spans: &Spans, pair: (Span, Span)) -> (Span, Span) {
    assert_eq!(pair.0.get("otel.kind"), Some("client"));
    assert_eq!(pair.1.get("otel.kind"), Some("server"));
    assert_eq!(pair.0.get("client.address"), None);
    let name: &str = pair.1.get("peer").unwrap();
    let caller = authority(name).0;
    assert_eq!(pair.1.get("client.address"), Some(caller));
    assert!(pair.1.root, "nothing of the reader's is its parent");
    spans.clear();
    pair
}

/// Host and port of a name.
pub(crate) fn authority(name: &str) -> (&str, &str) {
    let (_, authority) = name.split_once("://").unwrap();
    authority.split_once(':').unwrap()
}

/// Asserts where a span was, and what of.
#[track_caller]
pub(crate) fn check(
    span: &Span,
    local: &str,
    peer: &str,
    handler: HandlerId,
    subroute: Option<&str>,
) {
    assert_eq!(span.get("local"), Some(local), "{span:?}");
    assert_eq!(span.get("peer"), Some(peer), "{span:?}");
    assert_eq!(span.get("rpc.system.name"), Some("grid"), "{span:?}");
    let method = handler.get().to_string();
    assert_eq!(span.get("rpc.method"), Some(&*method), "{span:?}");
    let server = match span.get("otel.kind") {
        Some("client") => authority(peer),
        _ => authority(local),
    };
    assert_eq!(span.get("server.address"), Some(server.0), "{span:?}");
    assert_eq!(span.get("server.port"), Some(server.1), "{span:?}");
    assert_eq!(span.get("subroute"), subroute, "{span:?}");
    assert!(span.number("duration") >= 0.0, "{span:?}");
}

/// Bytes in, bytes out and outcome.
#[track_caller]
pub(crate) fn ended(span: &Span, bytes_in: usize, bytes_out: usize, outcome: &str) {
    assert_eq!(span.get("outcome"), Some(outcome), "{span:?}");
    let bytes = (span.number("bytes_in"), span.number("bytes_out"));
    assert_eq!(bytes, (bytes_in as f64, bytes_out as f64), "{span:?}");
    let failed = (outcome != "ok").then_some(outcome);
    assert_eq!(span.get("error").is_some(), failed.is_some(), "{span:?}");
    assert_eq!(span.get("error.type"), failed, "{span:?}");
    let status = failed.map(|_| "ERROR");
    assert_eq!(span.get("otel.status_code"), status, "{span:?}");
}

/// Its handler was dropped, which is no error of its own.
#[track_caller]
pub(crate) fn ended_early(span: &Span) {
    assert_eq!(span.get("outcome"), Some("dropped"), "{span:?}");
    for field in ["error", "error.type", "otel.status_code"] {
        assert_eq!(span.get(field), None, "{span:?}");
    }
    assert_eq!(
        (span.number("bytes_in"), span.number("bytes_out")),
        (1.0, 0.0)
    );
}
