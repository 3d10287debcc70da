//! Both halves, byte by byte and against another implementation.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio_tungstenite::WebSocketStream;
use tungstenite::{
    Message,
    protocol::{Role as TheirRole, frame::coding::CloseCode},
};

use super::{writer::MOST_KEPT, *};

const KEY: [u8; 4] = [0x11, 0x22, 0x33, 0x44];

fn ws(io: DuplexStream, role: Role) -> Ws {
    let settings = Settings::new();
    let mut ws = Ws::new(Box::new(io), BytesMut::new(), role, &settings);
    ws.established(&settings);
    ws
}

/// A server of ours, and the bare byte stream of its client.
fn server(buffer: usize) -> (Ws, DuplexStream) {
    let (ours, theirs) = duplex(buffer);
    (ws(ours, Role::Server), theirs)
}

/// A frame of a client with a payload below 126 bytes.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![first, 0x80 | u8::try_from(payload.len()).unwrap()];
    bytes.extend(KEY);
    let start = bytes.len();
    bytes.extend(payload);
    mask::apply(&mut bytes[start..], KEY);
    bytes
}

#[tokio::test]
async fn fragments_are_joined_and_text_is_skipped() {
    let (ws, mut peer) = server(4096);
    let (mut reader, mut writer) = ws.split();
    let frames = [
        frame(0x81, b"text \xff that is no utf-8"),
        frame(0x01, b"text in"),
        frame(0x80, b"\xff two"),
        frame(0x02, b"one "),
        frame(0x89, b"ping 1"),
        frame(0x8a, b"pong"),
        frame(0x00, b"two "),
        frame(0x89, b"ping 2"),
        frame(0x80, b"three"),
        frame(0x82, b""),
        frame(0x82, b"last"),
    ]
    .concat();
    // A byte at a time, so that no frame arrives whole.
    let sender = tokio::spawn(async move {
        for byte in frames {
            peer.write_all(&[byte]).await.unwrap();
            tokio::task::yield_now().await;
        }
        peer
    });
    for wanted in ["one two three", "", "last"] {
        assert_eq!(reader.next().await.unwrap(), wanted);
    }
    let mut peer = sender.await.unwrap();
    writer.control().pong_owed().await;
    writer.send_owed().await.unwrap();
    // Only the newest ping is answered.
    let mut pong = [0; 8];
    peer.read_exact(&mut pong).await.unwrap();
    assert_eq!(&pong, b"\x8a\x06ping 2");
    drop(peer);
    assert!(matches!(reader.next().await, Err(WsError::Eof)));
}

#[tokio::test]
async fn what_breaks_the_rules_ends_the_connection() {
    for (what, bytes) in [
        ("frame without a mask", b"\x82\x01x".to_vec()),
        ("reserved bits", frame(0xc2, b"x")),
        ("fragmented control", frame(0x09, b"x")),
        (
            "control frame above 125",
            [&[0x89, 0xfe, 0, 126][..], &KEY].concat(),
        ),
        ("without a beginning", frame(0x80, b"x")),
        (
            "inside another",
            [frame(0x02, b"x"), frame(0x82, b"y")].concat(),
        ),
        ("unknown kind", frame(0x83, b"x")),
        ("half a status", frame(0x88, b"x")),
    ] {
        let (ws, mut peer) = server(4096);
        let (mut reader, writer) = ws.split();
        peer.write_all(&bytes).await.unwrap();
        let error = reader.next().await.unwrap_err();
        assert!(matches!(error, WsError::Protocol(_)), "{what}: {error:?}");
        assert!(error.to_string().contains(what), "{what}: {error}");
        assert!(matches!(reader.next().await, Err(WsError::Eof)), "{what}");
        // The byte stream just ends.
        hang_up(reader, writer, None).await;
        let mut rest = Vec::new();
        peer.read_to_end(&mut rest).await.unwrap();
        assert!(rest.is_empty(), "{what}: {rest:?}");
    }
}

#[tokio::test]
async fn a_client_takes_no_masked_frames() {
    let (ours, mut peer) = duplex(64);
    let (mut reader, _writer) = ws(ours, Role::Client).split();
    peer.write_all(&frame(0x82, b"x")).await.unwrap();
    assert!(matches!(reader.next().await, Err(WsError::Protocol(_))));
}

#[tokio::test]
async fn a_close_is_answered_with_its_status_alone() {
    for (payload, answer) in [
        (&b"\x03\xe8bye"[..], &b"\x88\x02\x03\xe8"[..]),
        (b"", b"\x88\x00"),
    ] {
        let (ws, mut peer) = server(4096);
        let (mut reader, writer) = ws.split();
        peer.write_all(&frame(0x88, payload)).await.unwrap();
        let error = reader.next().await.unwrap_err();
        let WsError::Closed { code, reason } = error else {
            panic!("{error:?}")
        };
        assert_eq!(code, (!payload.is_empty()).then_some(1000));
        assert_eq!(reason, if payload.is_empty() { "" } else { "bye" });
        let mut rest = Vec::new();
        // What is owed goes before what our own side would say.
        tokio::join!(hang_up(reader, writer, Some(1001)), async {
            peer.read_to_end(&mut rest).await.unwrap();
            drop(peer);
        });
        assert_eq!(rest, answer);
    }
}

#[tokio::test]
async fn a_declared_length_above_the_limit_is_refused_with_1009() {
    for len in [64 * 1024 * 1024 + 1, 1_u64 << 40, 1 << 62, u64::MAX] {
        let (ws, mut peer) = server(4096);
        let (mut reader, writer) = ws.split();
        let head = [&[0x82, 0xff][..], &len.to_be_bytes(), &KEY].concat();
        peer.write_all(&head).await.unwrap();
        let error = reader.next().await.unwrap_err();
        assert!(
            matches!(error, WsError::TooLarge { len: told, .. } if told == len),
            "{error:?}"
        );
        assert!(reader.held() <= 4096, "{} bytes held", reader.held());
        let mut rest = Vec::new();
        tokio::join!(hang_up(reader, writer, None), async {
            peer.read_to_end(&mut rest).await.unwrap();
            drop(peer);
        });
        assert_eq!(rest, b"\x88\x02\x03\xf1");
    }
}

#[tokio::test]
async fn fragments_count_together_and_handshakes_have_a_limit_of_their_own() {
    let settings = Settings::new().max_handshake_message(100).max_message(300);
    let (ours, mut peer) = duplex(4096);
    let mut ws = Ws::new(Box::new(ours), BytesMut::new(), Role::Server, &settings);
    peer.write_all(&frame(0x82, &[7; 100])).await.unwrap();
    assert_eq!(ws.reader.next().await.unwrap().len(), 100);
    ws.established(&settings);
    peer.write_all(&frame(0x82, &[7; 101])).await.unwrap();
    assert_eq!(ws.reader.next().await.unwrap().len(), 101);
    for first in [0x02, 0x00, 0x00] {
        peer.write_all(&frame(first, &[7; 101])).await.unwrap();
    }
    let error = ws.reader.next().await.unwrap_err();
    assert!(
        matches!(
            error,
            WsError::TooLarge {
                len: 303,
                limit: 300
            }
        ),
        "{error:?}"
    );
}

#[tokio::test]
async fn memory_grows_with_what_arrives_and_is_given_back() {
    let (ws, mut peer) = server(1024 * 1024);
    let (mut reader, _writer) = ws.split();
    let len = 8 * 1024 * 1024;
    let head = [&[0x82, 0xff][..], &(len as u64).to_be_bytes(), &[0; 4]].concat();
    peer.write_all(&head).await.unwrap();
    let mut sent = 0;
    for part in [1, 99_999, 900_000] {
        peer.write_all(&vec![5; part]).await.unwrap();
        sent += part;
        // The message isn't complete, so this reads what is there and goes on waiting.
        let waiting = tokio::time::timeout(Duration::ZERO, reader.next());
        assert!(waiting.await.is_err());
        assert!(
            reader.held() <= 2 * sent + 256 * 1024,
            "{} held for {sent}",
            reader.held()
        );
    }
    let rest = tokio::spawn(async move {
        peer.write_all(&vec![5; len - sent]).await.unwrap();
        peer
    });
    let message = reader.next().await.unwrap();
    assert_eq!(message.len(), len);
    assert!(message.iter().all(|byte| *byte == 5));
    drop(message);
    assert!(reader.held() <= 64 * 1024, "{} held at rest", reader.held());
    drop(rest.await.unwrap());
}

#[tokio::test]
async fn another_implementation_understands_us_in_both_roles() {
    let lengths = [
        0,
        1,
        125,
        126,
        16 * 1024,
        16 * 1024 + 1,
        65_535,
        65_536,
        300_000,
    ];
    for (role, theirs) in [
        (Role::Server, TheirRole::Client),
        (Role::Client, TheirRole::Server),
    ] {
        let (ours, io) = duplex(10_000);
        let (mut reader, mut writer) = ws(ours, role).split();
        let mut peer = WebSocketStream::from_raw_socket(io, theirs, None).await;
        let echo = tokio::spawn(async move {
            while let Some(Ok(message)) = peer.next().await {
                if message.is_binary() {
                    peer.send(message).await.unwrap();
                } else if let Message::Close(Some(close)) = message {
                    return close.code;
                }
            }
            panic!("no close came")
        });
        for len in lengths {
            let payload: Bytes = (0..len).map(|n| (n % 251) as u8).collect();
            // A payload that somebody else holds isn't masked in place.
            let (sent, received) = tokio::join!(writer.send(payload.clone()), reader.next());
            sent.unwrap();
            assert_eq!(received.unwrap(), payload, "{role:?} {len}");
        }
        hang_up(reader, writer, Some(1001)).await;
        assert_eq!(echo.await.unwrap(), CloseCode::Away);
    }
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_takes_nothing_is_noticed_and_a_slow_one_is_not() {
    let (ws, mut peer) = server(1024);
    let (_reader, mut writer) = ws.split();
    let payload = Bytes::from(vec![1; 20_000]);
    let slow = tokio::spawn(async move {
        let mut taken = 0;
        let mut part = [0; 1000];
        while taken < 20_004 {
            // tidy: sleep: this peer is slow, under paused time
            tokio::time::sleep(Duration::from_secs(3)).await;
            taken += peer.read(&mut part).await.unwrap();
        }
        peer
    });
    writer.send(payload.clone()).await.unwrap();
    let _peer = slow.await.unwrap();
    let began = tokio::time::Instant::now();
    let error = writer.send(payload.clone()).await.unwrap_err();
    assert!(matches!(error, WsError::Stalled { after } if after == Duration::from_secs(4)));
    assert_eq!(began.elapsed().as_secs(), 4);
    assert!(matches!(writer.send(payload).await, Err(WsError::Io(_))));
}

#[tokio::test(start_paused = true)]
async fn nothing_follows_a_frame_that_was_cut() {
    let (ws, mut peer) = server(1024);
    let (reader, mut writer) = ws.split();
    let cut = tokio::time::timeout(Duration::ZERO, writer.send(vec![1; 20_000].into())).await;
    assert!(cut.is_err());
    assert!(matches!(
        writer.send(Bytes::new()).await,
        Err(WsError::Io(_))
    ));
    hang_up(reader, writer, Some(1001)).await;
    let mut rest = Vec::new();
    peer.read_to_end(&mut rest).await.unwrap();
    assert_eq!(rest.len(), 1024);
}

#[tokio::test]
async fn a_waiting_connection_notices_that_its_peer_has_gone() {
    let (mut ws, mut peer) = server(4096);
    peer.write_all(&frame(0x82, b"early")).await.unwrap();
    tokio::select! {
        biased;
        () = ws.reader.closed() => panic!("the peer is there"),
        () = tokio::task::yield_now() => {}
    }
    drop(peer);
    ws.reader.closed().await;
    assert_eq!(ws.reader.next().await.unwrap(), "early");
    assert_eq!(ws.meter().bytes_in(), 11);
}

/// What is put together is one write, with the pong before it, and no room is kept for a busy moment.
#[tokio::test]
async fn what_is_put_is_sent_at_once_behind_a_pong_and_leaves_no_room() {
    for role in [Role::Server, Role::Client] {
        let (ours, theirs) = duplex(1 << 20);
        let (_, mut writer) = ws(ours, role).split();
        let (mut reader, _) = ws(
            theirs,
            if role == Role::Server {
                Role::Client
            } else {
                Role::Server
            },
        )
        .split();
        writer.control.owe_pong(Bytes::from_static(b"p"));
        let large = vec![7; MOST_KEPT + 1];
        writer.put(5, |out| out.extend_from_slice(b"first"));
        let before = writer.head.len();
        writer.put(large.len(), |out| out.extend_from_slice(&large));
        assert!(
            writer.head.capacity() < before + large.len() + 64,
            "{role:?}"
        );
        writer.send_put().await.unwrap();
        assert_eq!(writer.head.capacity(), 0, "{role:?}");
        assert!(reader.next_or_noise().await.unwrap().is_none(), "the pong");
        assert_eq!(reader.next().await.unwrap(), b"first"[..]);
        assert_eq!(reader.next().await.unwrap(), large[..]);
        // What it sends next is not behind what it has sent.
        writer.send(Bytes::from_static(b"second")).await.unwrap();
        writer.put(5, |out| out.extend_from_slice(b"third"));
        writer.send_put().await.unwrap();
        assert_eq!(reader.next().await.unwrap(), b"second"[..]);
        assert_eq!(reader.next().await.unwrap(), b"third"[..]);
    }
}
