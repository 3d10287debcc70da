//! Streams whose items go both ways.

use super::script::{
    Act::{Finish, Receive, Return, Send, SendWaits, Serve, ServeWaits, Take},
    Data, EMPTY, Replay, Step, after, at, both, stream, t,
};

const NOTHING: &[Step] = &[
    at(20.0, stream(10, Data::Absent).go()),
    // Goes out before the ack came.
    at(20.0, Finish),
];
const SERVE_NOTHING: &[Step] = &[after(2, Return)];

const M0: &[Data] = &[t("m0")];
const M1: &[Data] = &[t("m1")];
const M2: &[Data] = &[t("m2")];
const M3: &[Data] = &[t("m3")];
const M4: &[Data] = &[t("m4")];

/// Five items, each sent when the echo of the one before was taken.
const fn five(handler: u8) -> [Step; 12] {
    [
        at(20.0, stream(handler, t("init")).go()),
        after(1, Send(M0)),
        after(3, Take(M0)),
        after(3, Send(M1)),
        after(5, Take(M1)),
        after(5, Send(M2)),
        after(7, Take(M2)),
        after(7, Send(M3)),
        after(9, Take(M3)),
        after(9, Send(M4)),
        after(11, Take(M4)),
        after(11, Finish),
    ]
}
const ECHO_FIVE: &[Step] = &[
    after(2, Receive(M0)),
    after(2, Serve(M0)),
    after(4, Receive(M1)),
    after(4, Serve(M1)),
    after(6, Receive(M2)),
    after(6, Serve(M2)),
    after(8, Receive(M3)),
    after(8, Serve(M3)),
    after(10, Receive(M4)),
    after(10, Serve(M4)),
    after(12, Return),
];

// Items are pushed as fast as the credit allows; the credit for m1 came with the echo of m0 in one frame, and the
// recorded caller took the echo before it sent.
const PUSHED_CAP1: &[Step] = &[
    at(20.0, stream(10, EMPTY).go()),
    after(1, Send(M0)),
    after(1, SendWaits(t("m1"))),
    after(3, Take(M0)),
    after(3, Send(M1)),
    after(3, SendWaits(t("m2"))),
    after(5, Take(M1)),
    after(5, Send(M2)),
    after(7, Take(M2)),
    after(7, Send(M3)),
    after(9, Take(M3)),
    after(9, Send(M4)),
    after(9, Finish),
    after(11, Take(M4)),
];
const ECHO_PUSHED_CAP1: &[Step] = &[
    after(2, Receive(M0)),
    after(2, Serve(M0)),
    after(4, Receive(M1)),
    after(4, Serve(M1)),
    after(6, Receive(M2)),
    after(6, Serve(M2)),
    after(8, Receive(M3)),
    after(8, Serve(M3)),
    after(10, Receive(M4)),
    after(10, Serve(M4)),
    after(11, Return),
];

const FIVE_ITEMS: &[Data] = &[t("m0"), t("m1"), t("m2"), t("m3"), t("m4")];
const PUSHED_CAP100: &[Step] = &[
    at(20.0, stream(22, EMPTY).go()),
    after(1, Send(FIVE_ITEMS)),
    after(1, Finish),
    after(13, Take(FIVE_ITEMS)),
];
// The recorded handler echoed m3 before the credit for it was on its way.
const ECHO_PUSHED_CAP100: &[Step] = &[
    after(7, Receive(&[t("m0"), t("m1"), t("m2")])),
    after(7, Serve(&[t("m0"), t("m1"), t("m2"), t("m3")])),
    after(7, Receive(&[t("m3"), t("m4")])),
    after(7, Serve(M4)),
    after(7, Return),
];

const TWO_ON_A_PART: &[Step] = &[
    at(20.0, stream(10, t("init")).route("subroute/1").go()),
    after(1, Send(M0)),
    after(3, Take(M0)),
    after(3, Send(M1)),
    after(5, Take(M1)),
    after(5, Finish),
];
const ECHO_TWO: &[Step] = &[
    after(2, Receive(M0)),
    after(2, Serve(M0)),
    after(4, Receive(M1)),
    after(4, Serve(M1)),
    after(6, Return),
];

const EMPTY_THEN_NIL: &[Step] = &[
    at(20.0, stream(10, Data::Absent).within(399.9).go()),
    after(1, Send(&[EMPTY])),
    after(3, Take(&[EMPTY])),
    at(85.2, Send(&[Data::Absent])),
    // Counted and credited like any other; it reaches the caller as an empty one.
    after(5, Take(&[EMPTY])),
    at(145.8, Send(&[t("x")])),
];
// An item that is absent reaches the handler as an empty one, and so it is echoed. There is no credit for the last
// echo: the recorded caller never took the one before.
const ECHO_EMPTY_AND_NIL: &[Step] = &[
    after(2, Receive(&[EMPTY])),
    after(2, Serve(&[EMPTY])),
    after(4, Receive(&[EMPTY])),
    after(4, Serve(&[Data::Absent])),
    after(5, Receive(&[t("x")])),
    after(5, ServeWaits(t("x"))),
];

pub(crate) const ALL: &[Replay] = &[
    both("stream_twoway_0_by_client.json", NOTHING, SERVE_NOTHING),
    both("stream_twoway_0_by_server.json", NOTHING, SERVE_NOTHING),
    both("stream_twoway_5_by_client.json", &five(10), ECHO_FIVE),
    both("stream_twoway_5_by_server.json", &five(10), ECHO_FIVE),
    both(
        "stream_twoway_5_cap100_by_server.json",
        &five(22),
        ECHO_FIVE,
    ),
    both(
        "stream_twoway_all_at_once_cap1_by_client.json",
        PUSHED_CAP1,
        ECHO_PUSHED_CAP1,
    ),
    both(
        "stream_twoway_all_at_once_cap100_by_server.json",
        PUSHED_CAP100,
        ECHO_PUSHED_CAP100,
    ),
    both(
        "stream_twoway_subroute_by_client.json",
        TWO_ON_A_PART,
        ECHO_TWO,
    ),
    both(
        "stream_twoway_subroute_by_server.json",
        TWO_ON_A_PART,
        ECHO_TWO,
    ),
    both(
        "stream_twoway_nil_and_empty_messages_by_client.json",
        EMPTY_THEN_NIL,
        ECHO_EMPTY_AND_NIL,
    ),
    both(
        "stream_twoway_nil_and_empty_messages_by_server.json",
        EMPTY_THEN_NIL,
        ECHO_EMPTY_AND_NIL,
    ),
];
