//! Recorded conversations about HTTP, websocket framing, rejections, or more than one connection, played over TCP with a
//! node of ours at one end.

#[path = "../common/node.rs"]
mod node;
#[path = "../common/raw.rs"]
mod raw;

mod assigned;
mod differences;
mod framing;
mod handshake;
mod play;
mod probe;
mod reconnect;
mod recording;
mod reject;

use std::{collections::BTreeSet, time::Duration};

use assigned::ASSIGNED;
use differences::{DIFFERENCES, OPEN_REASONS};
use futures_util::future::join_all;
use grid_proto::{
    MuxId,
    wire::{ConnectResponse, Flags},
};
use recording::Recording;
use tokio::time::timeout;

/// The files that the tests of each module play.
fn played() -> Vec<&'static str> {
    [
        handshake::FILES,
        reject::FILES,
        framing::FILES,
        reconnect::FILES,
    ]
    .concat()
}

#[test]
fn every_assigned_file_is_played_and_no_other() {
    let sorted = |files: &[&'static str]| files.iter().copied().collect::<BTreeSet<_>>();
    assert_eq!(sorted(&played()), sorted(ASSIGNED));
    assert_eq!(
        sorted(ASSIGNED).len(),
        ASSIGNED.len(),
        "a file is assigned twice"
    );
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/transcripts");
    let there: BTreeSet<String> = std::fs::read_dir(path)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(
        there,
        ASSIGNED.iter().map(|file| (*file).to_owned()).collect()
    );
}

/// A play that didn't notice anything would prove nothing.
#[tokio::test]
async fn a_recording_that_was_changed_is_noticed() {
    let changes: &[fn(&mut Recording)] = &[
        // The echo had another payload, sequence number, flag or number; there was none; there were two.
        |recording| recording.change(6, |echo| echo.payload = "y".into()),
        |recording| recording.change(6, |echo| echo.seq = 1),
        |recording| recording.change(6, |echo| echo.flags = Flags::CRC),
        |recording| recording.change(6, |echo| echo.deadline_ms = 1),
        |recording| recording.change(6, |echo| echo.mux = MuxId::new(2)),
        |recording| drop(recording.entries.remove(6)),
        |recording| recording.entries.push(recording.entries[6].clone()),
        // The acceptor said no, or had a checksum or another header.
        |recording| {
            recording.change(3, |answer| {
                let mut response = ConnectResponse::decode(&answer.payload).unwrap();
                response.accepted = false;
                let mut payload = Vec::new();
                response.encode(&mut payload);
                answer.payload = payload.into();
            });
        },
        |recording| recording.change(3, |answer| answer.flags = Flags::CRC),
        |recording| recording.entries[1]["lines"][3] = "Sec-WebSocket-Accept: x".into(),
        |recording| recording.entries[1]["lines"][2] = "Other: x".into(),
    ];
    let play = |change: Option<fn(&mut Recording)>| {
        tokio::spawn(async move {
            let mut recording = Recording::load("scripted_ws_pong.json");
            let clock = recording.dialer_clock();
            change.into_iter().for_each(|change| change(&mut recording));
            let (play, _manager, _) = handshake::accepting(recording, clock, node::DEBUG).await;
            play.play_to_end().await;
        })
    };
    play(None).await.unwrap();
    let outcomes = changes
        .iter()
        .map(|change| timeout(Duration::from_secs(2), play(Some(*change))));
    for (number, outcome) in join_all(outcomes).await.into_iter().enumerate() {
        // It fails, or waits for what doesn't come.
        assert!(!matches!(outcome, Ok(Ok(()))), "change {number}");
    }
}

#[test]
fn differences_are_few_and_have_reasons() {
    // Eight more are in the replays of grid-proto; the two together are at most 12.
    assert!(DIFFERENCES.len() <= 4);
    for (file, point, reason) in DIFFERENCES {
        assert!(ASSIGNED.contains(file), "{file}");
        assert!(*point > 0 && !reason.is_empty(), "{file}");
    }
    assert!(OPEN_REASONS.iter().all(|file| ASSIGNED.contains(file)));
}
