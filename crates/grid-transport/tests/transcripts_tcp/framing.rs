//! Frames, whole and broken.

use crate::{
    handshake::accepting,
    node::{self, A, DEBUG},
    recording::Recording,
};

pub(crate) const FILES: &[&str] = &[
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

async fn play(file: &'static str) -> grid_transport::Manager {
    let recording = Recording::load(file);
    let clock = recording.dialer_clock();
    let (play, manager, _) = accepting(recording, clock, DEBUG).await;
    play.play_to_end().await;
    manager
}

#[tokio::test]
async fn what_is_no_message_of_ours_does_no_harm() {
    for file in [
        "scripted_fragmented_frame.json",
        "scripted_text_frame_ignored.json",
        "scripted_ws_ping.json",
        "scripted_ws_pong.json",
    ] {
        let manager = play(file).await;
        drop(manager);
    }
}

#[tokio::test]
async fn what_is_broken_ends_the_connection_with_a_cause() {
    for (file, words) in [
        ("scripted_bad_crc.json", "wrong checksum"),
        ("scripted_empty_binary_frame.json", "cut short"),
        ("scripted_garbage.json", "length 3"),
        ("scripted_merged_count_too_large.json", "cut short"),
        ("scripted_unmasked_frame.json", "without a mask"),
        (
            "scripted_ws_close.json",
            "closed by the remote with status 1000: bye",
        ),
    ] {
        let manager = play(file).await;
        let link = manager.connection(A).unwrap();
        let cause = node::down_because(&link, |cause| Some(cause.to_string())).await;
        assert!(cause.contains(words), "{file}: {cause}");
    }
}

/// The newer connection takes the place of the older one, whose stream is cancelled first.
#[tokio::test]
async fn a_second_connection_replaces_the_first() {
    let recording = Recording::load("scripted_second_connection.json");
    let clock = recording.dialer_clock();
    let (mut play, manager, probe) = accepting(recording, clock, DEBUG).await;
    play.play(6).await;
    probe
        .seen(|seen| seen.block_began == 1 && seen.block_dropped == 0)
        .await;
    play.play(4).await;
    // The second is answered when nothing is left of the first.
    probe.seen(|seen| seen.block_dropped == 1).await;
    play.play_to_end().await;
    assert_eq!(manager.connection(A).unwrap().stats().reconnects, 1);
}
