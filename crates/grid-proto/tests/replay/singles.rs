//! Single requests that are answered.

use super::script::{
    Act::{Answer, Answers, Calls, Fail},
    Data, EMPTY, Replay, Step, after, at, both, request, t,
};

const HELLO: &[Step] = &[at(20.0, request(9, t("hello")).go())];
const HELLO_IN_5_S: &[Step] = &[at(20.0, request(9, t("hello")).within(4999.9).go())];
const HELLO_PART: &[Step] = &[at(20.0, request(9, t("hello")).route("subroute/1").go())];
const ANSWER_HELLO: &[Step] = &[after(1, Answer(t("hello")))];
const ANSWER_PART: &[Step] = &[after(1, Answer(t("sub1:hello")))];

const EMPTY_REQUEST: &[Step] = &[at(20.0, request(11, EMPTY).go())];
const ANSWER_EMPTY: &[Step] = &[after(1, Answer(EMPTY))];
const NIL_REQUEST: &[Step] = &[at(20.0, request(12, Data::Absent).go())];
const ANSWER_NIL: &[Step] = &[after(1, Answer(Data::Absent))];

const SHORT: Data = Data::Fill(b'?', 200);
const LONG: Data = Data::Fill(b'?', 70_000);

const THREE: &[Step] = &[
    at(20.0, request(9, t("req0")).go()),
    after(1, request(9, t("req1")).go()),
    after(2, request(9, t("req2")).go()),
];
const ANSWER_THREE: &[Step] = &[
    after(1, Answer(t("req0"))),
    after(2, Answer(t("req1"))).on(2),
    after(3, Answer(t("req2"))).on(3),
];

const FAILING: &[Step] = &[at(20.0, request(13, t("some error text")).go())];
const FAILS: &[Step] = &[after(1, Fail("some error text"))];
const PANICKING: &[Step] = &[at(20.0, request(14, t("boom")).go())];
const PANICS: &[Step] = &[after(1, Fail("handleMessages: panic recovered: boom"))];

const MAP: &[Step] = &[at(20.0, request(41, Data::Bytes(b"\x81\xa1k\xa1v")).go())];
const ANSWER_MAP: &[Step] = &[after(
    1,
    Answer(Data::Bytes(b"\x82\xa1k\xa1v\xa5reply\xa2ok")),
)];
const NO_MAP: &[Step] = &[at(20.0, request(41, Data::Bytes(b"\x93\x01\x02\x03")).go())];
const NOT_A_MAP: &[Step] = &[after(
    1,
    Fail("msgp: attempted to decode type \"array\" with method for \"map\" at Values"),
)];

/// The payloads of requests 1, 2, 3 …: each is one byte, 4,000 times.
const fn fills<const N: usize>(bytes: [u8; N]) -> [Data; N] {
    let mut all = [Data::Absent; N];
    let mut i = 0;
    while i < N {
        all[i] = Data::Fill(bytes[i], 4000);
        i += 1;
    }
    all
}

const TWENTY_BY_CLIENT: &[Data] = &fills([
    2, 7, 6, 4, 3, 5, 8, 18, 17, 16, 15, 14, 13, 12, 11, 10, 9, 19, 1, 0,
]);
const TWENTY_BY_SERVER: &[Data] = &fills([
    19, 14, 8, 7, 12, 6, 11, 5, 9, 4, 10, 13, 3, 18, 2, 1, 0, 17, 16, 15,
]);
const FORTY: &[Data] = &texts([
    "r1", "r0", "r39", "r2", "r3", "r4", "r5", "r6", "r22", "r23", "r7", "r24", "r25", "r8", "r26",
    "r9", "r27", "r10", "r28", "r11", "r29", "r12", "r30", "r13", "r31", "r14", "r15", "r16",
    "r32", "r17", "r33", "r18", "r34", "r19", "r35", "r20", "r36", "r37", "r21", "r38",
]);

const fn texts<const N: usize>(texts: [&'static str; N]) -> [Data; N] {
    let mut all = [Data::Absent; N];
    let mut i = 0;
    while i < N {
        all[i] = t(texts[i]);
        i += 1;
    }
    all
}

pub(crate) const ALL: &[Replay] = &[
    both("single_ok_by_client.json", HELLO, ANSWER_HELLO),
    both("single_ok_by_server.json", HELLO, ANSWER_HELLO),
    both(
        "single_ok_deadline_by_client.json",
        HELLO_IN_5_S,
        ANSWER_HELLO,
    ),
    both(
        "single_ok_deadline_by_server.json",
        HELLO_IN_5_S,
        ANSWER_HELLO,
    ),
    both("single_subroute_by_client.json", HELLO_PART, ANSWER_PART),
    both("single_subroute_by_server.json", HELLO_PART, ANSWER_PART),
    both(
        "single_ok_three_sequential_by_client.json",
        THREE,
        ANSWER_THREE,
    ),
    both(
        "single_ok_three_sequential_by_server.json",
        THREE,
        ANSWER_THREE,
    ),
    both(
        "single_empty_response_by_client.json",
        EMPTY_REQUEST,
        ANSWER_EMPTY,
    ),
    both(
        "single_empty_response_by_server.json",
        EMPTY_REQUEST,
        ANSWER_EMPTY,
    ),
    both(
        "single_nil_response_by_client.json",
        NIL_REQUEST,
        ANSWER_NIL,
    ),
    both(
        "single_nil_response_by_server.json",
        NIL_REQUEST,
        ANSWER_NIL,
    ),
    both(
        "single_200_bytes_by_client.json",
        &[at(20.0, request(9, SHORT).go())],
        &[after(1, Answer(SHORT))],
    ),
    both(
        "single_200_bytes_by_server.json",
        &[at(20.0, request(9, SHORT).go())],
        &[after(1, Answer(SHORT))],
    ),
    both(
        "single_70000_bytes_by_server.json",
        &[at(20.0, request(9, LONG).go())],
        &[after(1, Answer(LONG))],
    ),
    both(
        "single_20_concurrent_4000_bytes_by_client.json",
        &[at(30.0, Calls(TWENTY_BY_CLIENT))],
        &[after(20, Answers(TWENTY_BY_CLIENT))],
    ),
    both(
        "single_20_concurrent_4000_bytes_by_server.json",
        &[at(30.0, Calls(TWENTY_BY_SERVER))],
        &[after(20, Answers(TWENTY_BY_SERVER))],
    ),
    both(
        "single_40_concurrent_by_client.json",
        &[at(20.0, Calls(FORTY))],
        &[after(40, Answers(FORTY))],
    ),
    both("single_remote_error_by_client.json", FAILING, FAILS),
    both("single_remote_error_by_server.json", FAILING, FAILS),
    both(
        "single_remote_error_empty_text_by_client.json",
        &[at(20.0, request(13, Data::Absent).go())],
        &[after(1, Fail(""))],
    ),
    both("single_panic_by_client.json", PANICKING, PANICS),
    both("single_panic_by_server.json", PANICKING, PANICS),
    both("typed_mss_by_client.json", MAP, ANSWER_MAP),
    both("typed_mss_by_server.json", MAP, ANSWER_MAP),
    both("typed_bad_payload_by_client.json", NO_MAP, NOT_A_MAP),
    both("typed_bad_payload_by_server.json", NO_MAP, NOT_A_MAP),
];
