//! A client that sends fixed messages, some of which no honest one sends.

use super::{
    script::{
        Act::{Answer, Receive, Return, Serve, ServeWaits},
        Replay, after, only_handler, t,
    },
    streams_oneway::ITEMS,
};

pub(crate) const ALL: &[Replay] = &[
    // Single requests.
    only_handler("scripted_request_invalid_handler_0.json", &[]),
    only_handler("scripted_request_invalid_handler_200.json", &[]),
    only_handler("scripted_request_invalid_handler_200_subroute.json", &[]),
    only_handler("scripted_request_zero_sub_id.json", &[]),
    only_handler(
        "scripted_request_mux_id_0.json",
        &[after(1, Answer(t("x"))).on(0)],
    ),
    only_handler(
        "scripted_request_no_deadline_seq_5.json",
        &[after(1, Answer(t("x"))).on(99)],
    ),
    only_handler(
        "scripted_two_requests_same_mux.json",
        &[
            after(1, Answer(t("a"))).on(4),
            after(2, Answer(t("b"))).on(4),
        ],
    ),
    // Streams that can't be opened.
    only_handler("scripted_connect_mux_invalid_handler_200.json", &[]),
    only_handler("scripted_connect_mux_stateless.json", &[]),
    only_handler("scripted_connect_mux_twice_same_id.json", &[]),
    // Items for the handler.
    only_handler("scripted_client_msg_after_eof.json", &[]),
    only_handler(
        "scripted_client_msg_eof_with_payload.json",
        &[after(2, Return)],
    ),
    only_handler("scripted_client_msg_not_expected.json", &[]),
    // The recorded node had a place for one item beside the handler, which never reads: the first item got there. It
    // had another that no credit stands for; ours hasn't, and ends the stream one item earlier with the same messages.
    only_handler(
        "scripted_client_msg_overflow.json",
        &[after(2, Receive(&[t("m")]))],
    ),
    only_handler("scripted_client_msg_wrong_seq.json", &[]),
    // Credits for the handler.
    only_handler("scripted_unblock_wrong_seq.json", &[]),
    only_handler(
        "scripted_responses_without_unblock.json",
        &[after(1, Serve(&[ITEMS[0]])), after(1, ServeWaits(ITEMS[1]))],
    ),
    only_handler(
        "scripted_responses_without_unblock_cap100.json",
        &[after(1, Serve(&ITEMS)), after(1, Return)],
    ),
    only_handler("scripted_disconnect_server_mux_seq_ignored.json", &[]),
    // Messages for muxes that are not there.
    only_handler("scripted_client_msg_unknown_mux.json", &[]),
    only_handler("scripted_server_msg_unknown_mux.json", &[]),
    only_handler("scripted_ack_unknown_mux.json", &[]),
    only_handler("scripted_response_unknown_mux.json", &[]),
    only_handler(
        "scripted_unblocks_and_disconnects_unknown_mux.json",
        &[after(6, Answer(t("still alive")))],
    ),
];
