//! Whose warnings are limited together.

use std::time::Duration;

use grid_proto::{InstanceId, wire::ConnectRequest};
use grid_transport::Settings;

use crate::{
    logs::Logs,
    node::A,
    raw::request,
    times::{accepting, defaults, pass},
    wire::{Dial, Wire},
};

const ROOM: usize = 1 << 16;

/// Another process of that name.
fn other() -> ConnectRequest {
    ConnectRequest {
        id: InstanceId::new([0x66; 16]),
        ..request(A, "debug")
    }
}

async fn asks(dial: &Dial, address: &str, asked: &ConnectRequest) -> (Wire, bool) {
    let mut wire = dial.connect_from(ROOM, address);
    wire.upgrade().await;
    let accepted = wire.greet(asked).await.unwrap().accepted;
    (wire, accepted)
}

/// Nobody here answers pings.
fn patient() -> Settings {
    defaults().ping_interval(Duration::from_secs(1_000_000))
}

#[tokio::test(start_paused = true)]
async fn names_of_the_list_are_told_of_beside_any_number_of_strangers() {
    let (logs, _guard) = Logs::capture();
    let (dial, manager) = accepting(patient());
    for number in 0..1_100 {
        let stranger = request("http://stranger:9000", "debug");
        let (_, accepted) = asks(
            &dial,
            &format!("10.9.{}.{}", number / 256, number % 256),
            &stranger,
        )
        .await;
        assert!(!accepted);
    }
    let strangers = logs.warnings().len();
    assert_eq!(strangers, 1_024, "there is no room for more");
    let (_, accepted) = asks(&dial, "10.0.0.1", &request(A, "wrong")).await;
    assert!(!accepted);
    let (_live, accepted) = asks(&dial, "10.0.0.1", &request(A, "debug")).await;
    assert!(accepted);
    let (_taker, accepted) = asks(&dial, "10.0.0.66", &other()).await;
    assert!(accepted);
    manager.shutdown(Duration::ZERO).await;
    let told = logs.warnings().split_off(strangers);
    assert_eq!(told.len(), 2, "{told:#?}");
    for (line, parts) in told.iter().zip([
        ["connection rejected", "from=\"10.0.0.1\"", "auth token"],
        ["is replaced by", "from=\"10.0.0.66\"", "another=true"],
    ]) {
        for part in parts.into_iter().chain([A]) {
            assert!(line.contains(part), "{part}: {line}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn one_who_takes_a_name_from_many_addresses_is_told_of_as_one() {
    let (logs, _guard) = Logs::capture();
    let (dial, manager) = accepting(patient());
    let (_first, _) = asks(&dial, "10.0.0.1", &request(A, "debug")).await;
    // The node itself is told of for itself, and takes no line away.
    let (_again, _) = asks(&dial, "10.0.0.1", &request(A, "debug")).await;
    let mut wires = Vec::new();
    for number in 0..10 {
        let (wire, accepted) = asks(&dial, &format!("10.9.9.{number}"), &other()).await;
        assert!(accepted);
        wires.push(wire);
    }
    pass(Settings::new().warn_interval).await;
    wires.push(asks(&dial, "10.9.9.10", &other()).await.0);
    manager.shutdown(Duration::ZERO).await;
    let mut told = logs.warnings();
    told.retain(|line| line.contains("is replaced by"));
    assert_eq!(told.len(), 3, "{told:#?}");
    for (line, parts) in told.iter().zip([
        ["from=\"10.0.0.1\"", "another=false", "suppressed=0"],
        ["from=\"10.9.9.0\"", "another=true", "suppressed=0"],
        ["from=\"10.9.9.10\"", "another=true", "suppressed=9"],
    ]) {
        for part in parts {
            assert!(line.contains(part), "{part}: {line}");
        }
    }
}
