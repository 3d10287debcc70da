//! Messages that are none: H10, H11.

use std::time::Duration;

use grid_proto::{
    MuxId,
    wire::{DecodeError, Message, Op, encode_merged},
};
use grid_transport::{LinkCause, Manager};

use crate::{
    hostile::{ECHO, a_thousand_calls, call, let_in, merged, read_until, serving},
    logs::Logs,
    node::{self, A},
    raw::{Frame, Raw},
};

fn encoded(message: &Message) -> Vec<u8> {
    let mut bytes = Vec::new();
    message.encode(&mut bytes);
    bytes
}

/// A merged message that says it holds 4,000,000,000 of them.
fn four_billion(inside: &[Message]) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode_merged(inside, &mut bytes);
    // The count is the third field, behind the head of the array and the number of the connection.
    assert_eq!(usize::from(bytes[2]), inside.len());
    bytes.splice(2..3, [0xce, 0xee, 0x6b, 0x28, 0x00]);
    bytes
}

/// Why the link is down, as a text; it has to be.
async fn down(manager: &Manager) -> String {
    let link = manager.connection(A).unwrap();
    node::down_because(&link, |cause| match cause {
        LinkCause::Decode(error) => Some(error.to_string()),
        _ => None,
    })
    .await
}

/// What was told of the peer that is inside; others are not there to be dialed.
fn warnings(logs: &Logs) -> Vec<String> {
    let mut lines = logs.warnings();
    lines.retain(|line| line.contains("grid::session"));
    lines
}

#[tokio::test]
async fn h10_a_merged_message_that_lies_closes_the_link_with_the_reason() {
    let inside = [
        call(Op::Request, ECHO, 1, "x"),
        call(Op::Request, ECHO, 2, "x"),
    ];
    let cut = {
        let mut bytes = Vec::new();
        encode_merged(&inside, &mut bytes);
        bytes.truncate(bytes.len() - 1);
        bytes
    };
    for (bytes, parsed) in [(four_billion(&[]), 0), (four_billion(&inside), 2), (cut, 1)] {
        let (address, manager) = serving(node::settings(), &[]).await;
        let mut raw = let_in(address, A).await;
        raw.send_frame(&Frame::binary(bytes, true)).await;
        raw.read_to_end().await;
        let reason = down(&manager).await;
        assert!(reason.contains("cut short"), "{reason}");
        let stats = manager.connection(A).unwrap().stats();
        assert_eq!((stats.messages_in, stats.unreadable), (parsed, 1));
        // The next connection is as good as any.
        let mut raw = let_in(address, A).await;
        a_thousand_calls(&mut raw, true).await;
        manager.shutdown(Duration::ZERO).await;
    }
}

#[tokio::test]
async fn h10_one_inside_another_is_ignored_counted_and_logged_once() {
    let (logs, _guard) = Logs::capture();
    let (address, manager) = serving(node::settings().max_unknown(10), &[]).await;
    let link = manager.connection(A).unwrap();
    let mut raw = let_in(address, A).await;
    let nested = Message {
        seq: 4_000_000_000,
        ..Message::new(Op::Merged, MuxId::CONNECTION)
    };
    raw.send_frame(&merged(&vec![nested.clone(); 8])).await;
    assert!(raw.round_trip().await.is_empty());
    assert_eq!(link.stats().ignored, 8);
    a_thousand_calls(&mut raw, true).await;
    // Two pings of that and these are the eleventh and more of what nobody does in number.
    raw.send_frame(&merged(&vec![nested; 3])).await;
    raw.read_to_end().await;
    let abuse = |cause: &LinkCause| matches!(cause, LinkCause::Abuse(_)).then_some(());
    node::down_because(&link, abuse).await;
    manager.shutdown(Duration::ZERO).await;
    let told = warnings(&logs);
    assert_eq!(told.len(), 1, "{told:#?}");
    assert!(told[0].contains("a merged message inside another one is ignored"));
}

#[tokio::test]
async fn h11_a_wrong_checksum_closes_the_link_and_is_told_once() {
    let (logs, _guard) = Logs::capture();
    let (address, manager) = serving(node::settings(), &[]).await;
    let link = manager.connection(A).unwrap();
    let mut broken = encoded(&call(Op::Request, ECHO, 4_711, "hello"));
    *broken.last_mut().unwrap() ^= 1;
    for round in 1..=5 {
        let mut raw = let_in(address, A).await;
        node::connected(&link).await;
        raw.send_frame(&Frame::binary(broken.clone(), true)).await;
        assert!(
            raw.read_to_end().await.is_empty(),
            "closed without an answer"
        );
        node::down_because(&link, |cause| {
            let wrong = matches!(cause, LinkCause::Decode(DecodeError::WrongChecksum { .. }));
            wrong.then_some(())
        })
        .await;
        assert_eq!(link.stats().unreadable, round);
    }
    manager.shutdown(Duration::ZERO).await;
    let told = warnings(&logs);
    assert_eq!(told.len(), 1, "{told:#?}");
    let len = broken.len();
    for words in [
        "wrong checksum",
        "op=Request",
        "mux=4711",
        &format!("len={len}"),
    ] {
        assert!(told[0].contains(words), "{words}: {}", told[0]);
    }
    assert!(!told[0].contains("hello"));
}

#[tokio::test]
async fn h11_a_link_can_insist_on_checksums() {
    for insists in [true, false] {
        let settings = node::settings().require_checksums(insists);
        let (address, manager) = serving(settings, &[]).await;
        let link = manager.connection(A).unwrap();
        let mut raw: Raw = let_in(address, A).await;
        a_thousand_calls(&mut raw, true).await;
        let mut without = call(Op::Request, ECHO, 1, "x");
        without.flags -= grid_proto::wire::Flags::CRC;
        raw.send_message(&without).await;
        if insists {
            raw.read_to_end().await;
            node::down_because(&link, |cause| {
                cause
                    .to_string()
                    .contains("a Request without checksum")
                    .then_some(())
            })
            .await;
            assert_eq!(link.stats().unreadable, 1);
        } else {
            read_until(&mut raw, |came| came.iter().any(|m| m.op == Op::Response)).await;
        }
        manager.shutdown(Duration::ZERO).await;
    }
}
