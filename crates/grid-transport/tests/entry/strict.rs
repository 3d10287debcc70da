//! The order of the checks, and what a strict node says before the token is valid.

use std::time::{Duration, SystemTime};

use grid_proto::{
    MuxId,
    wire::{ConnectRequest, Message, Op, Timestamp},
};

use crate::{
    accepting,
    node::{A, C, settings},
    raw::{Frame, PATH, Raw, TEXT, request},
};

/// What may be wrong with a request, in the order of protocol section 2.
#[derive(Clone, Copy, Debug)]
struct Faults {
    host: bool,
    clock: bool,
    token: bool,
    side: bool,
}

impl Faults {
    fn all() -> impl Iterator<Item = Self> {
        (0..16).map(|bits| Self {
            host: bits & 1 != 0,
            clock: bits & 2 != 0,
            token: bits & 4 != 0,
            side: bits & 8 != 0,
        })
    }

    fn request(self) -> ConnectRequest {
        let host = match self {
            Self { host: true, .. } => "http://node-z:9000",
            Self { side: true, .. } => C,
            _ => A,
        };
        let ago = Duration::from_secs(if self.clock { 360 } else { 0 });
        ConnectRequest {
            time: Timestamp::from(SystemTime::now() - ago),
            ..request(host, if self.token { "wrong" } else { "debug" })
        }
    }

    /// The beginning of what a node says that checks in the order of the reference.
    fn reason(self) -> Option<&'static str> {
        let checks = [
            (self.host, "unknown incoming host: http://node-z:9000"),
            (self.clock, "time difference too large between servers: 6m0"),
            (self.token, "auth token: invalid token"),
            (self.side && !self.host, "grid: expected to be client side"),
        ];
        checks
            .iter()
            .find(|(wrong, _)| *wrong)
            .map(|(_, reason)| *reason)
    }

    /// The same for a strict one: a wrong token hides all else.
    fn strict_reason(self) -> Option<&'static str> {
        if self.token {
            Some("rejected")
        } else {
            self.reason()
        }
    }
}

async fn check(strict: bool) {
    let settings = settings().strict(strict);
    let (address, _manager) = accepting(&[A, C], |builder| builder.settings(settings)).await;
    for faults in Faults::all() {
        let (_raw, response) = Raw::connect(address, &faults.request()).await;
        let told = response.rejected_reason.to_string();
        let wanted = if strict {
            faults.strict_reason()
        } else {
            faults.reason()
        };
        assert_eq!(response.accepted, wanted.is_none(), "{faults:?}: {told}");
        let exact = told == "rejected" || !strict || !faults.token;
        assert!(
            exact && told.starts_with(wanted.unwrap_or_default()),
            "{faults:?}: {told}"
        );
    }
}

#[tokio::test]
async fn h15_the_order_of_checks_is_the_references() {
    check(false).await;
}

#[tokio::test]
async fn h15_strict_checks_the_token_first() {
    check(true).await;
}

/// What is no request at all has no token either.
#[tokio::test]
async fn h15_strict_says_rejected_to_what_is_no_request() {
    let settings = settings().strict(true);
    let (address, _manager) = accepting(&[A], |builder| builder.settings(settings)).await;
    let encoded = |message: &Message| {
        let mut bytes = Vec::new();
        message.encode(&mut bytes);
        bytes
    };
    let text = |payload: Vec<u8>| Frame {
        opcode: TEXT,
        ..Frame::binary(payload, true)
    };
    let connect = grid_proto::conn::handshake::connect(&request(A, "debug"));
    let mut malformed = Message::new(Op::Connect, MuxId::CONNECTION);
    malformed.payload = vec![0x93].into();
    for (what, frame) in [
        ("noise", Frame::binary(vec![0x5a; 4_096], true)),
        ("one byte", Frame::binary(vec![0x97], true)),
        ("nothing", Frame::binary(Vec::new(), true)),
        (
            "another op",
            Frame::binary(encoded(&Message::new(Op::Request, MuxId::new(1))), true),
        ),
        ("no map", Frame::binary(encoded(&malformed), true)),
        (
            "cut short",
            Frame::binary(connect[..connect.len() - 1].to_vec(), true),
        ),
        ("text", text(b"hello".to_vec())),
        ("a request in text", text(connect.clone())),
    ] {
        let mut raw = Raw::upgrade(address, PATH).await;
        raw.send_frame(&frame).await;
        let response = raw.read_response().await.expect(what);
        assert!(!response.accepted, "{what}");
        assert_eq!(response.rejected_reason, "rejected", "{what}");
        assert!(raw.read_to_end().await.is_empty(), "{what}");
    }
}
