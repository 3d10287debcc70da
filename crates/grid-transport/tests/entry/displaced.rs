//! Two who use one name can't take it from each other for ever, and not in silence.

use std::time::{Duration, Instant};

use grid_proto::{InstanceId, wire::ConnectRequest};

use crate::{
    accepting,
    logs::Logs,
    node::{A, settings},
    raw::{Raw, request},
};

const FIRST: Duration = Duration::from_millis(20);

#[tokio::test]
async fn a_name_that_is_taken_again_and_again_is_kept_for_longer_each_time() {
    let (logs, _guard) = Logs::capture();
    let settings = settings().replace_after(FIRST);
    let (address, manager) = accepting(&[A], |builder| builder.settings(settings)).await;
    // Before the first is up, so that no delay in here makes the time look shorter.
    let began = Instant::now();
    let (mut live, response) = Raw::connect(address, &request(A, "debug")).await;
    assert!(response.accepted);
    let mut protected = Duration::ZERO;
    for times in 0..6 {
        // It is answered when it takes the place of the one before.
        let (newer, response) = Raw::connect(address, &request(A, "debug")).await;
        assert!(response.accepted, "{times}");
        protected += FIRST * (1 << times);
        assert!(began.elapsed() >= protected, "{times}");
        assert!(live.read_to_end().await.len() <= 1, "but for a close");
        live = newer;
    }
    assert!(live.round_trip().await.is_empty());
    manager.shutdown(Duration::ZERO).await;
    let warnings = logs.warnings();
    let told: Vec<_> = warnings
        .iter()
        .filter(|line| line.contains("a live connection is replaced"))
        .collect();
    assert_eq!(told.len(), 1, "{warnings:#?}");
    for part in [A, "127.0.0.1", "another=false"] {
        assert!(told[0].contains(part), "{told:?}");
    }
}

/// Another process, under the same name.
fn other() -> ConnectRequest {
    ConnectRequest {
        id: InstanceId::new([0x66; 16]),
        ..request(A, "debug")
    }
}

#[tokio::test]
async fn who_hangs_up_in_between_waits_longer_each_time() {
    let (logs, _guard) = Logs::capture();
    let settings = settings().replace_after(FIRST);
    let (address, manager) = accepting(&[A], |builder| builder.settings(settings)).await;
    let link = manager.connection(A).unwrap();
    for times in 0..6 {
        // Before it is up, so that no delay in here makes the time look shorter.
        let began = Instant::now();
        let (mut honest, response) = Raw::connect(address, &request(A, "debug")).await;
        assert!(response.accepted, "{times}");
        let (taker, response) = Raw::connect(address, &other()).await;
        assert!(response.accepted, "{times}");
        assert!(began.elapsed() >= FIRST * (1 << times), "{times}");
        assert!(honest.read_to_end().await.len() <= 1, "but for a close");
        drop(taker);
        let mut states = link.watch();
        states
            .wait_for(|state| !state.is_connected())
            .await
            .unwrap();
    }
    manager.shutdown(Duration::ZERO).await;
    let mut warnings = logs.warnings();
    warnings.retain(|line| line.contains("a live connection is replaced"));
    assert_eq!(warnings.len(), 1, "{warnings:#?}");
    for part in [A, "127.0.0.1", "another=true"] {
        assert!(warnings[0].contains(part), "{warnings:?}");
    }
}
