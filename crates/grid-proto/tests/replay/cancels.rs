//! Calls that their callers give up.

use super::{
    script::{
        Act::{Answer, Cancel, Receive, Send, Serve, Take},
        Replay, Step, after, at, both, request, stream, t,
    },
    streams_oneway::ITEMS,
};

const REQUEST: &[Step] = &[at(20.0, request(21, t("100")).go()), at(52.1, Cancel)];
// The answer goes out although nobody waits for it: the reference has no message that would say so.
const ANSWER_LATE: &[Step] = &[at(122.5, Answer(t("100")))];

const ONEWAY: &[Step] = &[at(20.0, stream(65, t("x")).go()), at(74.0, Cancel)];
const TWOWAY: &[Step] = &[at(20.0, stream(64, t("x")).go()), at(73.2, Cancel)];

const MIDWAY: &[Step] = &[
    at(20.0, stream(10, t("init")).go()),
    after(1, Send(&[t("m0")])),
    after(3, Take(&[t("m0")])),
    at(55.0, Send(&[t("m1")])),
    after(5, Take(&[t("m1")])),
    at(85.7, Cancel),
];
const ECHO_UNTIL_CANCELLED: &[Step] = &[
    after(2, Receive(&[t("m0")])),
    after(2, Serve(&[t("m0")])),
    after(4, Receive(&[t("m1")])),
    after(4, Serve(&[t("m1")])),
];

const SECOND_ITEM_UNWANTED: &[Step] = &[
    at(20.0, stream(7, t("5")).go()),
    after(2, Take(&[ITEMS[0]])),
    after(3, Take(&[ITEMS[1]])),
    after(3, Cancel),
];
const SERVE_THREE: &[Step] = &[
    after(1, Serve(&[ITEMS[0]])),
    after(2, Serve(&[ITEMS[1]])),
    after(3, Serve(&[ITEMS[2]])),
];

pub(crate) const ALL: &[Replay] = &[
    both(
        "single_cancel_then_late_response_by_client.json",
        REQUEST,
        ANSWER_LATE,
    ),
    both(
        "single_cancel_then_late_response_by_server.json",
        REQUEST,
        ANSWER_LATE,
    ),
    both("stream_cancel_oneway_by_client.json", ONEWAY, &[]),
    both("stream_cancel_oneway_by_server.json", ONEWAY, &[]),
    both("stream_cancel_twoway_by_client.json", TWOWAY, &[]),
    both("stream_cancel_twoway_by_server.json", TWOWAY, &[]),
    both(
        "stream_cancel_with_custom_cause_by_client.json",
        ONEWAY,
        &[],
    ),
    both(
        "stream_cancel_with_custom_cause_by_server.json",
        ONEWAY,
        &[],
    ),
    both(
        "stream_cancel_midway_twoway_by_server.json",
        MIDWAY,
        ECHO_UNTIL_CANCELLED,
    ),
    both(
        "stream_callback_error_by_client.json",
        SECOND_ITEM_UNWANTED,
        SERVE_THREE,
    ),
    both(
        "stream_callback_error_by_server.json",
        SECOND_ITEM_UNWANTED,
        SERVE_THREE,
    ),
];
