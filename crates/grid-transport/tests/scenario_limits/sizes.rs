//! Limits of a message, a frame and a head.

use std::{net::SocketAddr, time::Duration};

use grid_proto::wire::{Flags, Message, Op, merged_len, unfold};
use grid_transport::{CallError, LinkCause};

use crate::{
    around,
    hostile::{LENGTH, SIZED, call, dialing, let_in, merged, read_until, serving},
    node::{self, A},
    raw::{self, Frame, Next, Raw, header, request, upgrade_request},
};

/// A call whose message has exactly so many bytes.
fn sized_call(len: usize) -> Message {
    let mut call = call(Op::Request, LENGTH, 1, vec![b'x'; len]);
    let over = call.encoded_len() - len;
    call.payload.truncate(len - over);
    // A shorter payload may have a shorter head.
    let payload = call.payload.len() + len - call.encoded_len();
    call.payload = vec![b'x'; payload].into();
    assert_eq!(call.encoded_len(), len);
    call
}

fn encoded(message: &Message) -> Vec<u8> {
    let mut bytes = Vec::new();
    message.encode(&mut bytes);
    bytes
}

/// Cut into two fragments.
fn fragments(bytes: &[u8], at: usize) -> Vec<Frame> {
    let (first, rest) = bytes.split_at(at);
    vec![
        Frame {
            fin: false,
            ..Frame::binary(first, true)
        },
        Frame {
            opcode: 0,
            ..Frame::binary(rest, true)
        },
    ]
}

/// Whether the call is answered; else the link has to be closed with 1009 for a message of `len` bytes.
async fn is_answered(
    address: SocketAddr,
    manager: &grid_transport::Manager,
    frames: &[Frame],
) -> bool {
    let mut raw = let_in(address, A).await;
    let link = manager.connection(A).unwrap();
    node::connected(&link).await;
    for frame in frames {
        raw.send_frame(frame).await;
    }
    match raw.next().await {
        Next::Frame(frame) if frame.opcode == raw::CLOSE => {
            assert_eq!(frame.payload, b"\x03\xf1");
            assert!(matches!(raw.next().await, Next::End));
            node::down_because(&link, |cause| {
                matches!(cause, LinkCause::TooLarge { .. }).then_some(())
            })
            .await;
            false
        }
        Next::Frame(frame) => {
            let answer = Message::decode(frame.payload.into()).unwrap();
            assert_eq!(answer.op, Op::Response);
            true
        }
        Next::End => panic!("the end without a word"),
    }
}

#[tokio::test]
async fn max_message_whole_in_fragments_and_merged() {
    // Below and above what gets a buffer of its own.
    for limit in [5_000, 300_000] {
        let (address, manager) = serving(node::settings().max_message(limit), &[]).await;
        for len in around(limit) {
            let bytes = encoded(&sized_call(len));
            let mut shapes = vec![vec![Frame::binary(bytes.clone(), true)]];
            for at in [1, len / 2, len - 1] {
                shapes.push(fragments(&bytes, at));
            }
            let head = merged(&[sized_call(len / 2)]).payload.len() - len / 2;
            let merged = merged(&[sized_call(len - head)]);
            // The head of the part inside may be shorter than that of a half.
            if merged.payload.len() == len {
                shapes.push(vec![merged]);
            } else {
                panic!("{} and not {len}", merged.payload.len());
            }
            for frames in shapes {
                let answered = is_answered(address, &manager, &frames).await;
                assert_eq!(
                    answered,
                    len <= limit,
                    "{len} of {limit}, {} frames",
                    frames.len()
                );
            }
        }
        manager.shutdown(Duration::ZERO).await;
    }
}

#[tokio::test]
async fn max_message_of_answers_and_calls_of_ours() {
    let limit = 5_000;
    let settings = || node::settings().max_message(limit);
    let (address, manager) = serving(settings(), &[]).await;
    let mut raw = let_in(address, A).await;
    let (mut acceptor, dialer, link) = dialing(settings()).await;
    let over = encoded_over(limit);
    for len in around(limit) {
        raw.send_message(&call(Op::Request, SIZED, 1, (len - over).to_string()))
            .await;
        let answer = raw.read_message().await.unwrap();
        if len <= limit {
            assert_eq!(answer.encoded_len(), len);
            assert!(!answer.flags.contains(Flags::PAYLOAD_IS_ERR));
        } else {
            let text = format!("the answer of {len} bytes is over the limit of {limit}");
            assert_eq!(answer.payload, text);
        }
    }
    let call = |size| {
        link.request(SIZED, vec![0; size])
            .timeout(Duration::from_millis(300))
    };
    let CallError::TooLarge { len, .. } = call(2 * limit).await.unwrap_err() else {
        panic!("far above the limit")
    };
    let over = len - 2 * limit;
    for len in around(limit) {
        match call(len - over).await.unwrap_err() {
            CallError::TooLarge {
                len: told,
                limit: of,
            } => {
                assert_eq!((told, of, told > limit), (len, limit, true));
            }
            // It has left, and nobody answers.
            CallError::Deadline => {
                let came = acceptor.read_message().await.unwrap();
                assert!(len <= limit && came.encoded_len() <= limit, "{came:?}");
                assert_eq!(came.payload.len(), len - over);
            }
            other => panic!("{other:?} for {len}"),
        }
    }
    manager.shutdown(Duration::ZERO).await;
    dialer.shutdown(Duration::ZERO).await;
}

/// What an answer takes beside a payload of about `len` bytes.
fn encoded_over(len: usize) -> usize {
    let mut answer = call(
        Op::Response,
        grid_transport::HandlerId::new(0),
        1,
        vec![0; len - 40],
    );
    answer.flags |= Flags::EOF;
    answer.encoded_len() - answer.payload.len()
}

#[tokio::test]
async fn max_handshake_message() {
    let limit = grid_transport::Settings::new().max_handshake_message;
    let (address, manager) = serving(node::settings(), &[]).await;
    for len in around(limit) {
        for parts in [1, 2] {
            // Bytes behind the message are ignored.
            let mut bytes = grid_proto::conn::handshake::connect(&request(A, "debug")).to_vec();
            bytes.resize(len, 0);
            let frames = match parts {
                1 => vec![Frame::binary(bytes, true)],
                _ => fragments(&bytes, len - 1),
            };
            let mut raw = Raw::upgrade(address, raw::PATH).await;
            for frame in &frames {
                raw.send_frame(frame).await;
            }
            if len <= limit {
                assert!(raw.read_response().await.unwrap().accepted, "{len}");
            } else {
                let left = raw.read_to_end().await;
                assert_eq!((left.len(), left[0].opcode), (1, raw::CLOSE), "{len}");
                assert_eq!(left[0].payload, b"\x03\xf1");
            }
        }
    }
    manager.shutdown(Duration::ZERO).await;
}

#[tokio::test]
async fn max_head() {
    let limit = grid_transport::Settings::new().max_head;
    let (address, manager) = serving(node::settings(), &[]).await;
    for len in around(limit) {
        for in_parts in [false, true] {
            let mut lines = upgrade_request(raw::PATH);
            let so_far = format!("{}\r\n\r\n", lines.join("\r\n")).len();
            lines.push(format!("X-Pad: {}", "x".repeat(len - so_far - 9)));
            let head = format!("{}\r\n\r\n", lines.join("\r\n"));
            assert_eq!(head.len(), len);
            let mut raw = Raw::dial(address).await;
            if in_parts {
                raw.send_bytes(&head.as_bytes()[..len / 2]).await;
                raw.send_bytes(&head.as_bytes()[len / 2..]).await;
            } else {
                raw.send_bytes(head.as_bytes()).await;
            }
            let answer = raw.read_head().await;
            let wanted = if len <= limit { "101" } else { "431" };
            assert!(answer[0].contains(wanted), "{len}: {answer:?}");
            assert_eq!(header(&answer, "Upgrade").is_some(), len <= limit);
        }
    }
    manager.shutdown(Duration::ZERO).await;
}

#[tokio::test]
async fn merge_limit() {
    let limit = 2_000;
    let (address, manager) = serving(node::settings().merge_limit(limit), &[]).await;
    let mut raw = let_in(address, A).await;
    let over = {
        let answer = |size| {
            let mut answer = call(
                Op::Response,
                grid_transport::HandlerId::new(0),
                1,
                vec![0; size],
            );
            answer.flags |= Flags::EOF;
            answer.encoded_len()
        };
        merged_len([answer(900), answer(900)].into_iter()) - 1_800
    };
    for len in around(limit) {
        let (first, second) = (900, len - over - 900);
        raw.send_frame(&merged(&[
            call(Op::Request, SIZED, 1, first.to_string()),
            call(Op::Request, SIZED, 2, second.to_string()),
        ]))
        .await;
        let (mut frames, mut answers) = (Vec::new(), 0);
        while answers < 2 {
            let Next::Frame(frame) = raw.next().await else {
                panic!("the end")
            };
            frames.push(frame.payload.len());
            answers += unfold(frame.payload.into()).map(Result::unwrap).count();
        }
        if len <= limit {
            assert_eq!(frames, [len]);
        } else {
            assert_eq!(frames.len(), 2, "{len}: {frames:?}");
        }
    }
    // What is larger goes alone.
    raw.send_message(&call(Op::Request, SIZED, 3, "5000")).await;
    let came = read_until(&mut raw, |came| !came.is_empty()).await;
    assert_eq!(came[0].payload.len(), 5_000);
    manager.shutdown(Duration::ZERO).await;
}

/// Whatever is read at once, messages around that size come through as they were.
#[tokio::test]
async fn read_chunk() {
    for chunk in [1_024, 10_000, 65_536, 200_000] {
        let (address, manager) = serving(node::settings().read_chunk(chunk), &[]).await;
        let mut raw = let_in(address, A).await;
        for len in around(chunk) {
            let calls: Vec<u8> = (0..3)
                .flat_map(|_| Frame::binary(encoded(&sized_call(len)), true).encode())
                .collect();
            raw.send_bytes(&calls).await;
            let came = read_until(&mut raw, |came| came.len() == 3).await;
            for answer in came {
                let wanted = sized_call(len).payload.len().to_string();
                assert_eq!(answer.payload, wanted, "{len} of {chunk}");
            }
        }
        manager.shutdown(Duration::ZERO).await;
    }
}
