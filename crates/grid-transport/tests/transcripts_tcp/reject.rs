//! Dialers that are turned away.

use std::time::Duration;

use grid_transport::{LinkCause, Settings};

use crate::{
    handshake::{accepting, dialing},
    node::{self, A, B, DEBUG, Debug},
    recording::Recording,
};

pub(crate) const FILES: &[&str] = &[
    "connect_first_frame_text.json",
    "reject_clock_skew.json",
    "reject_clock_skew_future.json",
    "reject_empty_connect_payload.json",
    "reject_first_op_not_connect.json",
    "reject_garbage.json",
    "reject_unknown_host.json",
    "reject_wrong_direction.json",
    "reject_wrong_token.json",
    "reject_wrong_token_scripted.json",
];

#[tokio::test]
async fn each_is_told_the_recorded_reason() {
    for file in FILES {
        let recording = Recording::load(file);
        let dialer = recording.dialer_clock();
        // What the acceptor's clock said can be read from the reasons.
        let clock = match *file {
            "reject_clock_skew.json" => dialer + Duration::new(600, 67_784),
            "reject_clock_skew_future.json" => dialer - Duration::new(359, 999_952_237),
            _ => dialer,
        };
        let (play, manager, _) = accepting(recording, clock, DEBUG).await;
        play.play_to_end().await;
        let link = manager.connection(A).unwrap();
        assert!(
            !link.state().is_connected() && link.state().last_cause().is_none(),
            "{file}"
        );
    }
}

async fn dialer_learns(recording: Recording, local: &str, auth: Debug, reason: &str) {
    let file = recording.file;
    let (play, manager, _) = dialing(recording, local, auth).await;
    play.play_to_end().await;
    let told = node::down_because(&manager.connection(B).unwrap(), |cause| match cause {
        LinkCause::Rejected(reason) => Some(reason.to_string()),
        _ => None,
    })
    .await;
    assert_eq!(told, reason, "{file}");
}

#[tokio::test]
async fn a_dialer_learns_the_reason_and_tries_again() {
    let wrong = Debug {
        token: "wrong",
        refuse_headers: false,
    };
    // The recorded node repeats the token, which the dialer shows to nobody.
    let reason = "auth token: invalid token. want empty, got (the token)";
    dialer_learns(Recording::load("reject_wrong_token.json"), A, wrong, reason).await;
}

#[tokio::test]
async fn a_dialer_learns_that_nobody_knows_it() {
    let local = "http://node-x3:9000";
    let reason = "unknown incoming host: http://node-x3:9000";
    dialer_learns(
        Recording::load("reject_unknown_host.json"),
        local,
        DEBUG,
        reason,
    )
    .await;
}

/// Until the token is valid a strict node says one word, whatever is wrong.
#[tokio::test]
async fn a_strict_node_gives_no_reason() {
    use crate::raw::{self, Raw};
    let builder = node::builder(B, &[A]).settings(Settings::clone(&node::settings()).strict(true));
    let manager = builder.build().unwrap();
    let socket = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = manager.serve(socket).unwrap().local_addr().unwrap();
    for (host, token, reason) in [
        ("http://who:1", "bad", "rejected"),
        (A, "bad", "rejected"),
        (
            "http://who:1",
            "debug",
            "unknown incoming host: http://who:1",
        ),
    ] {
        let (mut raw, response) = Raw::connect(address, &raw::request(host, token)).await;
        assert!(!response.accepted);
        assert_eq!(response.rejected_reason, reason);
        assert!(raw.read_to_end().await.is_empty());
    }
}
