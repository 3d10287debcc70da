//! After calls, failures and streams the numbers are those that really were.

use std::{future::IntoFuture, time::Duration};

use futures_util::FutureExt;
use grid_transport::{CallError, HandlerId, HandlerStats, LinkStats, Manager, Settings, testing};

use crate::{
    node,
    probe::*,
    scrape::{Scrape, recorder, scrape},
};

/// How many calls of ours ended how.
const REQUESTS: [(&str, f64); 13] = [
    ("ok", 4.0),
    ("not_connected", 0.0),
    ("disconnected", 0.0),
    ("shutting_down", 0.0),
    ("deadline", 1.0),
    ("cancelled", 1.0),
    ("unknown_handler", 1.0),
    ("refused", 0.0),
    ("remote", 3.0),
    ("too_large", 1.0),
    ("capacity_mismatch", 0.0),
    ("overrun", 0.0),
    ("protocol", 0.0),
];
const STREAMS: [(&str, f64); 3] = [("ok", 1.0), ("remote", 1.0), ("cancelled", 2.0)];

type Number = (&'static str, fn(&LinkStats) -> u64);

const SHORT: Duration = Duration::from_millis(20);

/// Calls of all kinds, from `a` to `b`.
async fn calls(a: &Manager, b: &Manager) {
    let peer = node::link(a, b);
    for _ in 0..3 {
        peer.request(ECHO, "x").await.unwrap();
    }
    let routed = peer.subroute("subroute/1");
    routed.request(ECHO, "x").await.unwrap();
    for _ in 0..2 {
        peer.request(FAIL, "x").await.unwrap_err();
    }
    peer.request(PANIC, "x").await.unwrap_err();
    peer.request(UNKNOWN, "x").await.unwrap_err();
    let late = peer.request(WAIT, "100000").timeout(SHORT).await;
    assert!(matches!(late, Err(CallError::Deadline)), "{late:?}");
    let large = vec![0; Settings::new().max_message + 1];
    peer.request(ECHO, large).await.unwrap_err();
    // Polled once, and given up.
    let given_up = peer.request(WAIT, "100000").into_future();
    assert!(given_up.now_or_never().is_none());
    // Not polled at all: no call.
    drop(peer.request(ECHO, "x").into_future());

    let mut stream = peer.stream(ITEMS_100, OUT_100, "5").await.unwrap();
    while let Some(item) = stream.recv().await {
        item.unwrap();
    }
    // It is over already, and counted once.
    drop(stream);
    let mut stream = peer.stream(FAIL_AFTER, OUT_1, "3:x").await.unwrap();
    while let Some(Ok(_)) = stream.recv().await {}
    // Nobody sees the end of these two.
    for halves in [false, true] {
        let waiting = peer.stream(WAITS, OUT_1, "x").await.unwrap();
        wait_while(|| stats_of(b, WAITS).running == 0).await;
        match halves {
            false => drop(waiting),
            true => drop(waiting.split()),
        }
        wait_while(|| stats_of(b, WAITS).running > 0).await;
    }
    peer.ping(LONG).await.unwrap();
}

fn stats_of(node: &Manager, id: HandlerId) -> HandlerStats {
    let all = node.handler_stats();
    all.into_iter().find(|stats| stats.handler == id).unwrap()
}

fn callers(a: &Manager, b: &Manager, seen: &Scrape) {
    for (kind, counts) in [("request", &REQUESTS[..]), ("stream", &STREAMS)] {
        for (outcome, count) in counts {
            let of = [("local", a.local()), ("kind", kind), ("outcome", outcome)];
            assert_eq!(seen.value("grid_calls_total", &of), *count, "{of:?}");
            let of = [
                ("local", a.local()),
                ("remote", b.local()),
                ("kind", kind),
                ("outcome", outcome),
            ];
            let measured = "grid_call_duration_seconds_count";
            match *count > 0.0 {
                true => assert_eq!(seen.value(measured, &of), *count, "{of:?}"),
                false => assert!(!seen.has(measured, &of), "{of:?}"),
            }
        }
    }
    let ended: f64 = seen
        .all("grid_calls_total", &[("local", a.local())])
        .map(|sample| sample.value)
        .sum();
    let wanted: f64 = REQUESTS
        .iter()
        .chain(&STREAMS)
        .map(|(_, count)| count)
        .sum();
    assert_eq!(ended, wanted);
    let late = [
        ("local", a.local()),
        ("kind", "request"),
        ("outcome", "deadline"),
    ];
    let took = seen.value("grid_call_duration_seconds_sum", &late);
    assert!(took >= SHORT.as_secs_f64() && took < 50.0, "{took}");
    // Who only serves has called nobody.
    let server = [("local", b.local())];
    let mut served = seen.all("grid_calls_total", &server);
    assert!(served.all(|sample| sample.value == 0.0));
    assert!(!seen.has("grid_call_duration_seconds_count", &[("local", b.local())]));
}

fn handlers(node: &Manager, seen: &Scrape) {
    for stats in node.handler_stats() {
        let id = stats.handler.get().to_string();
        let of = [
            ("local", node.local()),
            ("path", node.path()),
            ("handler", &*id),
            ("subroute", stats.subroute.as_deref().unwrap_or_default()),
            ("kind", if stats.stream { "stream" } else { "request" }),
        ];
        let value = |name| seen.value(name, &of);
        assert_eq!(value("grid_handler_calls_total"), stats.calls as f64);
        assert_eq!(value("grid_handler_running"), stats.running as f64);
        assert_eq!(value("grid_handler_errors_total"), stats.errors as f64);
        assert_eq!(value("grid_handler_panics_total"), stats.panics as f64);
        assert_eq!(
            value("grid_handler_slow_polls_total"),
            stats.slow_polls as f64
        );
        let ended = (stats.calls - stats.running) as f64;
        assert_eq!(
            value("grid_handler_duration_seconds_count"),
            ended,
            "{of:?}"
        );
        let took = value("grid_handler_duration_seconds_sum");
        let off = (took - stats.time.as_secs_f64()).abs();
        assert!(off < 1e-6, "{took} and {:?}", stats.time);
    }
}

fn links(node: &Manager, seen: &Scrape) {
    for stats in node.stats() {
        let of = [
            ("local", node.local()),
            ("path", node.path()),
            ("remote", &*stats.remote),
        ];
        let numbers: [Number; 15] = [
            ("grid_link_reconnects_total", |link| link.reconnects),
            ("grid_link_failed_attempts_total", |link| {
                link.failed_attempts
            }),
            ("grid_link_received_bytes_total", |link| link.bytes_in),
            ("grid_link_sent_bytes_total", |link| link.bytes_out),
            ("grid_link_received_messages_total", |link| link.messages_in),
            ("grid_link_sent_messages_total", |link| link.messages_out),
            ("grid_link_refused_calls_total", |link| link.refused),
            ("grid_link_discarded_answers_total", |link| {
                link.discarded_answers
            }),
            ("grid_link_dropped_answers_total", |link| {
                link.dropped_answers
            }),
            ("grid_link_unknown_mux_messages_total", |link| {
                link.unknown_mux
            }),
            ("grid_link_ignored_messages_total", |link| link.ignored),
            ("grid_link_unreadable_messages_total", |link| {
                link.unreadable
            }),
            ("grid_link_abandoned_handlers_total", |link| {
                link.abandoned_handlers
            }),
            ("grid_link_queued_bytes", |link| link.queued_bytes as u64),
            ("grid_link_running_handlers", |link| {
                link.running_handlers as u64
            }),
        ];
        for (name, read) in numbers {
            assert_eq!(seen.value(name, &of), read(&stats) as f64, "{name}");
        }
        let state = |state| seen.value("grid_link_state", &[of[0], of[2], ("state", state)]);
        let states = ["connecting", "waiting", "connected", "closed"].map(state);
        assert_eq!(states, [0.0, 0.0, 1.0, 0.0]);
        let of_kind = |name, kind| seen.value(name, &[of[0], of[2], ("kind", kind)]) as usize;
        for (name, open) in [
            (
                "grid_link_open_calls",
                [stats.open_requests, stats.open_streams],
            ),
            (
                "grid_link_serving_calls",
                [stats.serving_requests, stats.serving_streams],
            ),
        ] {
            assert_eq!(
                ["request", "stream"].map(|kind| of_kind(name, kind)),
                open,
                "{name}"
            );
        }
        let round_trip = seen.value("grid_link_round_trip_seconds", &of);
        match stats.round_trip {
            Some(time) => assert_eq!(round_trip, time.as_secs_f64()),
            None => assert!(round_trip.is_nan()),
        }
    }
}

#[tokio::test]
async fn the_numbers_are_those_of_the_nodes() {
    ends(async {
        let (recorder, handle) = recorder();
        let _guard = metrics::set_default_local_recorder(&recorder);
        let [a, b] = node::pair(|_, builder| probe(builder)).await;
        node::connected(&node::link(&a, &b)).await;
        node::connected(&node::link(&b, &a)).await;
        // What is there before anything happens.
        let seen = scrape(&handle, &[&a, &b]);
        links(&a, &seen);
        links(&b, &seen);
        let mut none = seen.all("grid_calls_total", &[]);
        assert!(none.all(|sample| sample.value == 0.0));

        calls(&a, &b).await;
        // The second time nothing has come since.
        for _ in 0..2 {
            let seen = scrape(&handle, &[&a, &b]);
            callers(&a, &b, &seen);
            for node in [&a, &b] {
                handlers(node, &seen);
                links(node, &seen);
            }
        }
        let panics = [("local", b.local()), ("handler", "14")];
        let seen = scrape(&handle, &[&a, &b]);
        assert_eq!(seen.value("grid_handler_panics_total", &panics), 1.0);
        a.shutdown(Duration::ZERO).await;
        b.shutdown(Duration::ZERO).await;
    })
    .await;
}

/// Under paused time durations are exact, of handlers that wait and of those that are polled once.
#[tokio::test(start_paused = true)]
async fn durations_are_those_of_the_calls() {
    ends(async {
        let (recorder, handle) = recorder();
        let _guard = metrics::set_default_local_recorder(&recorder);
        let pair = testing::pair(probe).await.unwrap();
        let peer = pair.a_to_b();
        for millis in ["40", "200", "3000"] {
            peer.request(WAIT, millis).await.unwrap();
        }
        peer.request(ECHO, "x").await.unwrap();
        let waits = [("local", pair.b.local()), ("handler", "21")];
        let asked = [("local", pair.a.local()), ("outcome", "ok")];
        let seen = scrape(&handle, &[&pair.a, &pair.b]);
        let (sum, buckets) = (
            "grid_handler_duration_seconds_sum",
            "grid_handler_duration_seconds_bucket",
        );
        assert!((seen.value(sum, &waits) - 3.24).abs() < 1e-9);
        for (le, count) in [
            ("0.025", 0.0),
            ("0.05", 1.0),
            ("0.25", 2.0),
            ("1", 2.0),
            ("5", 3.0),
        ] {
            let of = [waits[0], waits[1], ("le", le)];
            assert_eq!(seen.value(buckets, &of), count, "{le}");
        }
        // The network in memory takes no time.
        assert!((seen.value("grid_call_duration_seconds_sum", &asked) - 3.24).abs() < 1e-9);
        assert_eq!(seen.value("grid_call_duration_seconds_count", &asked), 4.0);
        // Handlers that were polled in place and had no task are there too.
        let echo = [
            ("local", pair.b.local()),
            ("handler", "9"),
            ("subroute", ""),
        ];
        assert_eq!(
            seen.value("grid_handler_duration_seconds_count", &echo),
            1.0
        );
        pair.shutdown(Duration::ZERO).await;
    })
    .await;
}
