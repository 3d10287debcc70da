//! Calls that can't be served.

use super::script::{Act::Finish, Replay, Step, at, both, request, stream, t};

const UNKNOWN: &[Step] = &[at(20.0, request(77, t("x")).go())];
const UNKNOWN_PART: &[Step] = &[at(20.0, request(9, t("hello")).route("no/such").go())];
const UNKNOWN_STREAM: &[Step] = &[at(20.0, stream(69, t("init")).go())];
const UNKNOWN_STREAM_PART: &[Step] = &[
    at(20.0, stream(10, t("init")).route("no/such").go()),
    at(20.0, Finish),
];

pub(crate) const ALL: &[Replay] = &[
    both("single_unknown_handler_by_client.json", UNKNOWN, &[]),
    both("single_unknown_handler_by_server.json", UNKNOWN, &[]),
    both("single_unknown_subroute_by_client.json", UNKNOWN_PART, &[]),
    both("single_unknown_subroute_by_server.json", UNKNOWN_PART, &[]),
    both("stream_unknown_handler_by_client.json", UNKNOWN_STREAM, &[]),
    both("stream_unknown_handler_by_server.json", UNKNOWN_STREAM, &[]),
    both(
        "stream_unknown_subroute_by_client.json",
        UNKNOWN_STREAM_PART,
        &[],
    ),
    both(
        "stream_unknown_subroute_by_server.json",
        UNKNOWN_STREAM_PART,
        &[],
    ),
    // The caller has no definition of the stream: its application has nothing to call with, and nothing is sent.
    both("stream_not_registered_locally_by_client.json", &[], &[]),
    both("stream_not_registered_locally_by_server.json", &[], &[]),
];
