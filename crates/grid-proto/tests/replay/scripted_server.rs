//! A server that sends fixed messages, some of which no honest one sends.

use super::script::{Act::Take, Data, Replay, Step, after, at, only_caller, request, stream, t};

const X: &[Data] = &[t("x")];
const REQUEST: &[Step] = &[at(20.0, request(9, t("x")).within(299.9).go())];
const ONEWAY: &[Step] = &[at(20.0, stream(7, t("5")).within(399.9).go())];
const TWOWAY: &[Step] = &[at(20.0, stream(10, t("x")).within(399.9).go())];

pub(crate) const ALL: &[Replay] = &[
    only_caller(
        "scripted_server_request_answered_by_disconnect.json",
        REQUEST,
    ),
    only_caller(
        "scripted_server_request_answered_by_disconnect_with_error.json",
        REQUEST,
    ),
    only_caller("scripted_server_response_twice.json", REQUEST),
    only_caller("scripted_server_response_wrong_seq.json", REQUEST),
    only_caller("scripted_server_stream_disconnect_client_mux.json", ONEWAY),
    only_caller("scripted_server_stream_msg_wrong_seq.json", ONEWAY),
    only_caller("scripted_server_stream_mux_connect_error.json", TWOWAY),
    only_caller("scripted_server_twoway_disconnect_client_mux.json", TWOWAY),
    // The caller takes what came when all has come.
    only_caller(
        "scripted_server_merged_response.json",
        &[
            at(20.0, stream(59, t("5")).within(399.9).go()),
            after(3, Take(X)),
        ],
    ),
    only_caller(
        "scripted_server_stream_no_ack.json",
        &[
            at(20.0, stream(7, t("5")).within(399.9).go()),
            after(2, Take(X)),
        ],
    ),
    only_caller(
        "scripted_server_stream_too_many_responses.json",
        &[
            at(20.0, stream(7, t("5")).within(399.9).go()),
            after(7, Take(X)),
        ],
    ),
];
