//! Which file is tested where.

use std::fs;

use super::{
    cancels, deadlines, pings, recording::directory, refusals, script::Replay, scripted_client,
    scripted_server, singles, streams_oneway, streams_twoway,
};

/// Every entry of the tables.
pub(crate) fn replays() -> impl Iterator<Item = Replay> {
    [
        singles::ALL,
        refusals::ALL,
        streams_oneway::ALL,
        streams_twoway::ALL,
        cancels::ALL,
        deadlines::ALL,
        pings::ALL,
        scripted_client::ALL,
        scripted_server::ALL,
    ]
    .into_iter()
    .flatten()
    .copied()
}

/// The names of all recordings, in order.
pub(crate) fn files() -> Vec<String> {
    let mut files: Vec<String> = fs::read_dir(directory())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    files.sort();
    files
}

/// The files about HTTP, websocket frames, rejections or several connections: they are for the transport's tests over
/// raw TCP.
pub(crate) const OVER_TCP: &[&str] = &[
    "accept_clock_skew_4_minutes.json",
    "connect.json",
    "connect_close_before_message.json",
    "connect_first_frame_text.json",
    "connect_with_crc.json",
    "disconnect_during_stream_and_request_by_client.json",
    "disconnect_during_stream_and_request_by_server.json",
    "http_not_an_upgrade.json",
    "reject_clock_skew.json",
    "reject_clock_skew_future.json",
    "reject_empty_connect_payload.json",
    "reject_first_op_not_connect.json",
    "reject_garbage.json",
    "reject_http_auth.json",
    "reject_unknown_host.json",
    "reject_wrong_direction.json",
    "reject_wrong_token.json",
    "reject_wrong_token_scripted.json",
    "response_after_reconnect_by_client.json",
    "response_after_reconnect_by_server.json",
    "scripted_bad_crc.json",
    "scripted_empty_binary_frame.json",
    "scripted_fragmented_frame.json",
    "scripted_garbage.json",
    "scripted_merged_count_too_large.json",
    "scripted_second_connection.json",
    "scripted_text_frame_ignored.json",
    "scripted_unmasked_frame.json",
    "scripted_ws_close.json",
    "scripted_ws_ping.json",
    "scripted_ws_pong.json",
];
