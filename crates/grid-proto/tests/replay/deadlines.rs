//! Calls whose deadline passes.

use super::script::{
    Act::{AnswerTooLate, SendWaits},
    Replay, Step, at, both, only_caller, only_handler, request, stream, t,
};

const SHORT_REQUEST: &[Step] = &[at(23.4, request(21, t("150")).within(49.9).go())];
const ANSWER_AFTER_150: &[Step] = &[at(175.4, AnswerTooLate(t("150")))];

/// A stream that its caller gives 80 ms, opened when it was in the recording.
const fn blocked(handler: u8, millis: f64) -> [Step; 1] {
    [at(millis, stream(handler, t("x")).within(79.9).go())]
}

pub(crate) const ALL: &[Replay] = &[
    both(
        "single_deadline_exceeded_by_client.json",
        SHORT_REQUEST,
        ANSWER_AFTER_150,
    ),
    both(
        "single_deadline_exceeded_by_server.json",
        SHORT_REQUEST,
        ANSWER_AFTER_150,
    ),
    both(
        "stream_deadline_oneway_by_client.json",
        &blocked(65, 24.4),
        &[],
    ),
    both(
        "stream_deadline_oneway_by_server.json",
        &blocked(65, 22.1),
        &[],
    ),
    both(
        "stream_deadline_twoway_by_client.json",
        &blocked(64, 24.6),
        &[],
    ),
    both(
        "stream_deadline_twoway_by_server.json",
        &blocked(64, 25.6),
        &[],
    ),
    both(
        "stream_deadline_remote_later_oneway_by_client.json",
        &blocked(65, 24.0),
        &[],
    )
    .handler_later(500),
    both(
        "stream_deadline_remote_later_oneway_by_server.json",
        &blocked(65, 25.1),
        &[],
    )
    .handler_later(500),
    both(
        "stream_deadline_remote_later_twoway_by_client.json",
        &blocked(64, 24.3),
        &[],
    )
    .handler_later(500),
    both(
        "stream_deadline_remote_later_twoway_by_server.json",
        &blocked(64, 21.6),
        &[],
    )
    .handler_later(500),
    only_handler("scripted_stream_deadline_50ms.json", &[]),
    only_handler(
        "scripted_request_deadline_50ms_handler_100ms.json",
        &[at(122.4, AnswerTooLate(t("100")))],
    ),
    only_caller(
        "scripted_server_request_never_answered.json",
        &[at(23.0, request(9, t("x")).within(299.9).go())],
    ),
    only_caller(
        "scripted_server_twoway_no_ack.json",
        &[
            at(23.5, stream(10, t("x")).within(399.9).go()),
            at(200.0, SendWaits(t("m0"))),
        ],
    ),
];
