//! Pings of the link and of streams.

use super::script::{Act::Cancel, Replay, Step, at, both, only_caller, only_handler, stream, t};

/// A stream that is pinged every 400 ms and given up after 1,350 ms.
const fn pinged(handler: u8, millis: f64) -> [Step; 2] {
    [
        at(millis, stream(handler, t("x")).go()),
        at(millis + 1350.0, Cancel),
    ]
}

pub(crate) const ALL: &[Replay] = &[
    both("ping_pong.json", &[], &[]).ping(1000),
    both(
        "stream_mux_ping_oneway_by_client.json",
        &pinged(65, 21.9),
        &[],
    )
    .stream_ping(400),
    both(
        "stream_mux_ping_oneway_by_server.json",
        &pinged(65, 23.6),
        &[],
    )
    .stream_ping(400),
    both(
        "stream_mux_ping_twoway_by_client.json",
        &pinged(64, 24.2),
        &[],
    )
    .stream_ping(400),
    both(
        "stream_mux_ping_twoway_by_server.json",
        &pinged(64, 23.4),
        &[],
    )
    .stream_ping(400),
    only_handler("scripted_ping_connection.json", &[]),
    only_handler("scripted_ping_mux_ok_with_time.json", &[]).stays_open(),
    only_handler("scripted_ping_unknown_mux.json", &[]),
    only_handler("scripted_pong_unknown_mux.json", &[]),
    only_handler("scripted_mux_cancelled_without_pings.json", &[]).stream_ping(400),
    only_caller(
        "scripted_server_stream_no_pong.json",
        &[at(22.2, stream(65, t("x")).go())],
    )
    .stream_ping(100),
    only_caller(
        "scripted_server_stream_pong_not_found.json",
        &[at(23.4, stream(65, t("x")).go())],
    )
    .stream_ping(100),
];
