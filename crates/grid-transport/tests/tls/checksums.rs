//! Which messages carry a checksum: what two nodes write, as it is above TLS.

use grid_proto::wire::{Flags, Message, Op, unfold};
use grid_transport::{MuxId, tls::Tls};
use tokio::net::TcpListener;

use crate::{
    ACCEPTOR, DIALER, ECHO,
    certificates::{Authority, tls},
    node::{builder, connected, link},
    raw::{BINARY, Frame},
    recorded::{Record, Recorder},
};

/// The messages of one direction.
fn messages(bytes: &[u8]) -> Vec<Message> {
    let mut rest = bytes;
    let mut messages = Vec::new();
    while let Some((frame, len)) = Frame::decode(rest) {
        rest = &rest[len..];
        if frame.opcode == BINARY {
            assert!(frame.fin, "{frame:?}");
            messages.extend(unfold(frame.payload.into()).map(Result::unwrap));
        }
    }
    messages
}

/// Those that have no checksum under whatever names (protocol section 3).
fn never_has_one(message: &Message) -> bool {
    let of_link = message.mux == MuxId::CONNECTION;
    of_link && matches!(message.op, Op::Connect | Op::ConnectResponse | Op::Ping)
}

/// Has two nodes whose names begin so call each other; what the dialer has written then, and the acceptor.
async fn written(dialer: &str, acceptor: &str, tls: &Tls) -> [Vec<Message>; 2] {
    let socket = TcpListener::bind((ACCEPTOR, 0)).await.unwrap();
    let acceptor_name = format!("{acceptor}://{}", socket.local_addr().unwrap());
    let dialer_name = (1..=u16::MAX)
        .map(|port| format!("{dialer}://{DIALER}:{port}"))
        .find(|name| grid_proto::local_dials(name, &acceptor_name))
        .unwrap();
    let record = Record::default();
    let recorder = Recorder {
        dialer: tls.dialer(),
        record: record.clone(),
    };
    let echo = |request: grid_transport::Request| async move { Ok(request.into_payload()) };
    let acceptor = builder(&acceptor_name, &[&*dialer_name])
        .single(ECHO, echo)
        .build()
        .unwrap();
    if acceptor_name.starts_with("https") {
        acceptor.serve_on(tls.accept(socket).unwrap()).unwrap();
    } else {
        acceptor.serve(socket).unwrap();
    }
    let dialer = builder(&dialer_name, &[&*acceptor_name])
        .single(ECHO, echo)
        .dialer(recorder)
        .build()
        .unwrap();
    for peer in [link(&dialer, &acceptor), link(&acceptor, &dialer)] {
        connected(&peer).await;
        let answer = peer.request(ECHO, "on the wire").await.unwrap();
        assert_eq!(answer.as_slice(), b"on the wire");
    }
    dialer.shutdown(std::time::Duration::ZERO).await;
    acceptor.shutdown(std::time::Duration::ZERO).await;
    record.frames().map(|bytes| messages(&bytes))
}

#[tokio::test]
async fn messages_carry_no_checksums_where_both_names_are_https_and_only_there() {
    let authority = Authority::new();
    let own = authority.certify(&[ACCEPTOR]);
    let tls = tls(&own, &authority).build().unwrap();
    for (dialer, acceptor, checksums) in [
        ("https", "https", false),
        ("http", "http", true),
        ("http", "https", true),
        ("https", "http", true),
    ] {
        for messages in written(dialer, acceptor, &tls).await {
            let sent = |op| messages.iter().any(|message| message.op == op);
            assert!(sent(Op::Request) && sent(Op::Response), "{messages:?}");
            for message in messages.iter().filter(|message| !never_has_one(message)) {
                assert_eq!(
                    message.flags.contains(Flags::CRC),
                    checksums,
                    "{dialer} to {acceptor}: {message:?}"
                );
            }
        }
    }
}
