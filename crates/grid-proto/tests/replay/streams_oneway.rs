//! Streams whose items go one way.

use super::script::{
    Act::{Finish, Receive, Return, ReturnError, Send, Serve, Take},
    Data, Replay, Step, after, at, both, stream, t,
};

/// Item `i` of handlers 7 and 59.
pub(super) const ITEMS: [Data; 5] = [
    Data::Bytes(&[0; 4]),
    Data::Bytes(&[1; 4]),
    Data::Bytes(&[2; 4]),
    Data::Bytes(&[3; 4]),
    Data::Bytes(&[4; 4]),
];

const NONE: &[Step] = &[at(20.0, stream(7, t("0")).go())];
const SERVE_NONE: &[Step] = &[after(1, Return)];

const ONE: &[Step] = &[
    at(20.0, stream(7, t("1")).go()),
    after(2, Take(&[ITEMS[0]])),
];
const SERVE_ONE: &[Step] = &[after(1, Serve(&[ITEMS[0]])), after(2, Return)];

const FIVE: &[Step] = &[
    at(20.0, stream(7, t("5")).go()),
    after(2, Take(&[ITEMS[0]])),
    after(3, Take(&[ITEMS[1]])),
    after(4, Take(&[ITEMS[2]])),
    after(5, Take(&[ITEMS[3]])),
    after(6, Take(&[ITEMS[4]])),
];
// The handler returns right after its last item; its end waits for the credit.
const SERVE_FIVE: &[Step] = &[
    after(1, Serve(&[ITEMS[0]])),
    after(2, Serve(&[ITEMS[1]])),
    after(3, Serve(&[ITEMS[2]])),
    after(4, Serve(&[ITEMS[3]])),
    after(5, Serve(&[ITEMS[4]])),
    after(5, Return),
];

// All of it came at once: the stream had ended when the caller took the items.
const FIVE_AT_ONCE: &[Step] = &[at(20.0, stream(59, t("5")).go()), after(8, Take(&ITEMS))];
const SERVE_FIVE_AT_ONCE: &[Step] = &[after(1, Serve(&ITEMS)), after(1, Return)];

// The recorded caller had a place for one item beside the one at work: an item counts as taken when it gets there.
const SLOW: &[Step] = &[
    at(20.0, stream(7, t("4")).go()),
    after(2, Take(&[ITEMS[0]])),
    after(3, Take(&[ITEMS[1]])),
    at(62.6, Take(&[ITEMS[2]])),
    at(103.2, Take(&[ITEMS[3]])),
];
const SERVE_FOUR: &[Step] = &[
    after(1, Serve(&[ITEMS[0]])),
    after(2, Serve(&[ITEMS[1]])),
    after(3, Serve(&[ITEMS[2]])),
    after(4, Serve(&[ITEMS[3]])),
    after(4, Return),
];

const FAILING_AT_ONCE: &[Step] = &[at(20.0, stream(63, t("0:stream failed")).go())];
const FAIL_AT_ONCE: &[Step] = &[after(1, ReturnError("stream failed"))];
const FAILING: &[Step] = &[
    at(20.0, stream(63, t("2:stream failed")).go()),
    after(2, Take(&[t("msg0")])),
    after(3, Take(&[t("msg1")])),
];
const FAIL_AFTER_TWO: &[Step] = &[
    after(1, Serve(&[t("msg0")])),
    after(2, Serve(&[t("msg1")])),
    after(2, ReturnError("stream failed")),
];
const FAILING_WITHOUT_TEXT: &[Step] = &[
    at(20.0, stream(63, t("1:")).go()),
    after(2, Take(&[t("msg0")])),
];
const FAIL_WITHOUT_TEXT: &[Step] = &[after(1, Serve(&[t("msg0")])), after(1, ReturnError(""))];
const PANICKING: &[Step] = &[
    at(20.0, stream(70, t("1:boom")).go()),
    after(2, Take(&[t("msg0")])),
];
const PANIC: &[Step] = &[
    after(1, Serve(&[t("msg0")])),
    after(1, ReturnError("handler panic: boom")),
];

const COUNT_CAP1: &[Step] = &[
    at(20.0, stream(23, t("init")).go()),
    after(1, Send(&[t("m0")])),
    after(2, Send(&[t("m1")])),
    after(3, Send(&[t("m2")])),
    after(4, Send(&[t("m3")])),
    after(5, Send(&[t("m4")])),
    // Needs no credit.
    after(5, Finish),
    after(7, Take(&[t("5")])),
];
const COUNT_CAP100: &[Step] = &[
    at(20.0, stream(60, t("init")).go()),
    after(1, Send(&[t("m0"), t("m1"), t("m2"), t("m3"), t("m4")])),
    after(1, Finish),
    after(7, Take(&[t("5")])),
];
const COUNTS: &[Step] = &[
    after(2, Receive(&[t("m0")])),
    after(3, Receive(&[t("m1")])),
    after(4, Receive(&[t("m2")])),
    after(5, Receive(&[t("m3")])),
    after(6, Receive(&[t("m4")])),
    after(7, Serve(&[t("5")])),
    after(7, Return),
];

pub(crate) const ALL: &[Replay] = &[
    both("stream_responses_0_by_client.json", NONE, SERVE_NONE),
    both("stream_responses_0_by_server.json", NONE, SERVE_NONE),
    both("stream_responses_1_by_client.json", ONE, SERVE_ONE),
    both("stream_responses_1_by_server.json", ONE, SERVE_ONE),
    both("stream_responses_5_by_client.json", FIVE, SERVE_FIVE),
    both("stream_responses_5_by_server.json", FIVE, SERVE_FIVE),
    both(
        "stream_responses_5_cap100_by_client.json",
        FIVE_AT_ONCE,
        SERVE_FIVE_AT_ONCE,
    ),
    both(
        "stream_responses_5_cap100_by_server.json",
        FIVE_AT_ONCE,
        SERVE_FIVE_AT_ONCE,
    ),
    both(
        "stream_responses_slow_reader_by_client.json",
        SLOW,
        SERVE_FOUR,
    ),
    both(
        "stream_handler_error_at_once_by_client.json",
        FAILING_AT_ONCE,
        FAIL_AT_ONCE,
    ),
    both(
        "stream_handler_error_at_once_by_server.json",
        FAILING_AT_ONCE,
        FAIL_AT_ONCE,
    ),
    both(
        "stream_handler_error_by_client.json",
        FAILING,
        FAIL_AFTER_TWO,
    ),
    both(
        "stream_handler_error_by_server.json",
        FAILING,
        FAIL_AFTER_TWO,
    ),
    both(
        "stream_handler_error_empty_text_by_client.json",
        FAILING_WITHOUT_TEXT,
        FAIL_WITHOUT_TEXT,
    ),
    both(
        "stream_handler_error_empty_text_by_server.json",
        FAILING_WITHOUT_TEXT,
        FAIL_WITHOUT_TEXT,
    ),
    both("stream_handler_panic_by_server.json", PANICKING, PANIC),
    both("stream_requests_5_cap1_by_client.json", COUNT_CAP1, COUNTS),
    both("stream_requests_5_cap1_by_server.json", COUNT_CAP1, COUNTS),
    both(
        "stream_requests_5_cap100_by_client.json",
        COUNT_CAP100,
        COUNTS,
    ),
];
