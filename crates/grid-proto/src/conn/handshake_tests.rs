//! The checks against the recorded handshakes, and at their edges.

use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use super::*;
use crate::wire::Flags;

const LOCAL: &str = "http://node-b:9000";
const REMOTES: [&str; 2] = ["http://node-a:9000", "http://node-c0:9000"];

/// One connection of a recorded handshake: what the dialer sent first, and what the acceptor said to it.
struct Recorded {
    first: First,
    request: Option<ConnectRequest>,
    accepted: bool,
    reason: String,
}

fn recorded(file: &str) -> Recorded {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/vectors/transcripts")
        .join(file);
    let transcript: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let messages: Vec<&Value> = transcript["entries"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|entry| entry["kind"] == "ws" && entry["conn"] == 0)
        .collect();
    let bytes =
        |entry: &Value| Bytes::from(hex::decode(entry["frame_hex"].as_str().unwrap()).unwrap());
    let (sent, answer) = (messages[0], messages[1]);
    assert_eq!(
        (&sent["dir"], &answer["dir"]),
        (&"c2s".into(), &"s2c".into())
    );
    let response = &answer["decoded"]["connect_resp"];
    Recorded {
        first: match sent["ws_opcode"].as_u64() {
            Some(1) => First::Text(bytes(sent)),
            _ => First::Binary(bytes(sent)),
        },
        request: Message::decode(bytes(sent))
            .ok()
            .and_then(|message| ConnectRequest::decode(&message.payload).ok()),
        accepted: response["accepted"].as_bool().unwrap(),
        reason: response["rejected_reason"].as_str().unwrap().to_owned(),
    }
}

fn known(name: &[u8]) -> Option<&'static str> {
    REMOTES.into_iter().find(|remote| remote.as_bytes() == name)
}

/// The recorded acceptor's check: its token was `debug`, and its words were these.
fn check(token: &[u8]) -> Result<(), Text> {
    match token {
        b"debug" => Ok(()),
        other => Err(format!(
            "invalid token. want empty, got {}",
            String::from_utf8_lossy(other)
        )
        .into()),
    }
}

fn run(acceptor: &Acceptor<'_>, first: First) -> Result<Admitted<&'static str>, ConnectRejection> {
    let pending = acceptor.receive(first, known)?;
    let token = check(pending.token());
    acceptor.admit(pending, token, known)
}

fn request(host: &str, token: &str, time: Timestamp) -> First {
    First::Binary(
        connect(&ConnectRequest {
            id: InstanceId::new([3; 16]),
            host: host.into(),
            time,
            token: token.into(),
            extra: None,
        })
        .into(),
    )
}

fn at(secs: i64, nanos: u32) -> Timestamp {
    Timestamp { secs, nanos }
}

#[test]
fn recorded_dialers_are_let_in() {
    for file in [
        "connect.json",
        "connect_with_crc.json",
        "accept_clock_skew_4_minutes.json",
    ] {
        let recorded = recorded(file);
        assert!(recorded.accepted, "{file}");
        let request = recorded.request.unwrap();
        // What that acceptor's clock said: 4 minutes later in the last of them.
        let behind = if file.contains("skew") { 240 } else { 0 };
        let now = request.time.saturating_add(Duration::from_secs(behind));
        let admitted = run(&Acceptor::new(LOCAL, now), recorded.first).unwrap();
        assert_eq!(admitted.remote, "http://node-a:9000", "{file}");
        assert_eq!(admitted.id, request.id, "{file}");
    }
}

#[test]
fn recorded_rejections_have_the_same_text() {
    let skewed = |file: &str, request: &ConnectRequest| match file {
        "reject_clock_skew.json" => request.time.saturating_add(Duration::new(600, 67_784)),
        "reject_clock_skew_future.json" => {
            let ahead = Duration::new(359, 999_952_237).as_nanos();
            Timestamp::from_unix_nanos(request.time.unix_nanos() - i128::try_from(ahead).unwrap())
        }
        _ => request.time,
    };
    for file in [
        "connect_first_frame_text.json",
        "reject_clock_skew.json",
        "reject_clock_skew_future.json",
        "reject_first_op_not_connect.json",
        "reject_unknown_host.json",
        "reject_wrong_direction.json",
        "reject_wrong_token.json",
        "reject_wrong_token_scripted.json",
    ] {
        let recorded = recorded(file);
        assert!(!recorded.accepted, "{file}");
        let now = recorded
            .request
            .as_ref()
            .map_or_else(|| at(0, 0), |request| skewed(file, request));
        let rejection = run(&Acceptor::new(LOCAL, now), recorded.first).unwrap_err();
        assert_eq!(rejection.to_string(), recorded.reason, "{file}");
        assert_eq!(
            ConnectRejection::from_text(recorded.reason.as_bytes()),
            rejection,
            "{file}"
        );
    }
}

#[test]
fn h01_what_is_wrong_with_bytes_is_told_in_our_own_words_after_the_same_beginning() {
    for (file, beginning) in [
        ("reject_garbage.json", "error parsing grid connect: "),
        (
            "reject_empty_connect_payload.json",
            "error parsing connectReq: ",
        ),
    ] {
        let recorded = recorded(file);
        assert!(recorded.reason.starts_with(beginning), "{file}");
        let text = run(&Acceptor::new(LOCAL, at(0, 0)), recorded.first)
            .unwrap_err()
            .to_string();
        assert!(
            text.len() > beginning.len() && text.starts_with(beginning),
            "{file}: {text}"
        );
    }
}

#[test]
fn clocks_may_be_exactly_five_minutes_apart() {
    let now = at(1_800_000_000, 0);
    let acceptor = Acceptor::new(LOCAL, now);
    let skew = |time| run(&acceptor, request(REMOTES[0], "debug", time));
    for time in [
        at(now.secs - 300, 0),
        at(now.secs + 300, 0),
        at(now.secs - 299, 0),
    ] {
        assert!(skew(time).is_ok(), "{time:?}");
    }
    for (time, text) in [
        (at(now.secs - 301, 0), "5m1s"),
        (at(now.secs + 301, 0), "5m1s"),
        (at(now.secs - 301, 999_999_999), "5m0.000000001s"),
        (at(now.secs + 300, 1), "5m0.000000001s"),
        (Timestamp::ZERO, "2562047h47m16.854775807s"),
    ] {
        let expected = format!("time difference too large between servers: {text}");
        assert_eq!(skew(time).unwrap_err().to_string(), expected);
    }
    let narrow = acceptor.max_skew(Duration::from_secs(1));
    assert!(run(&narrow, request(REMOTES[0], "debug", at(now.secs - 2, 0))).is_err());
}

/// Each request below fails two checks; the earlier one is told.
#[test]
fn the_checks_come_in_order() {
    let now = at(1_800_000_000, 0);
    let acceptor = Acceptor::new(LOCAL, now);
    let late = at(now.secs - 400, 0);
    for (first, text) in [
        (
            request("http://who:1", "debug", late),
            "unknown incoming host: http://who:1",
        ),
        (
            request(REMOTES[0], "bad", late),
            "time difference too large between servers: 6m40s",
        ),
        (
            request(REMOTES[1], "bad", now),
            "auth token: invalid token. want empty, got bad",
        ),
        (
            request(REMOTES[1], "debug", now),
            "grid: expected to be client side, not server side",
        ),
        (
            First::Unreadable("cut short".into()),
            "reading connect: cut short",
        ),
        (
            First::Text(Bytes::from_static(b"hello")),
            "reading connect: text message",
        ),
    ] {
        assert_eq!(run(&acceptor, first).unwrap_err().to_string(), text);
    }
}

#[test]
fn a_name_that_differs_from_the_one_looked_up_is_refused() {
    let now = at(1_800_000_000, 0);
    let acceptor = Acceptor::new(LOCAL, now);
    let loose = |_: &[u8]| Some(REMOTES[0]);
    let pending = acceptor
        .receive(request("http://NODE-A:9000", "debug", now), loose)
        .unwrap();
    let rejection = acceptor.admit(pending, Ok(()), loose).unwrap_err();
    assert_eq!(
        rejection.to_string(),
        "expected remote 'http://node-a:9000', got 'http://NODE-A:9000'"
    );
}

#[test]
fn h15_a_strict_acceptor_tells_nothing_before_the_token_is_valid() {
    let now = at(1_800_000_000, 0);
    let acceptor = Acceptor::new(LOCAL, now).strict(true);
    let late = at(now.secs - 400, 0);
    for first in [
        request("http://who:1", "bad", now),
        request(REMOTES[0], "bad", late),
        request(REMOTES[1], "bad", now),
        First::Text(Bytes::from_static(b"hello")),
        First::Binary(Bytes::from_static(b"\x97")),
    ] {
        assert_eq!(run(&acceptor, first).unwrap_err().to_string(), STRICT_TEXT);
    }
    for (first, text) in [
        (
            request("http://who:1", "debug", now),
            "unknown incoming host: http://who:1",
        ),
        (
            request(REMOTES[0], "debug", late),
            "time difference too large between servers: 6m40s",
        ),
        (
            request(REMOTES[1], "debug", now),
            "grid: expected to be client side, not server side",
        ),
    ] {
        assert_eq!(run(&acceptor, first).unwrap_err().to_string(), text);
    }
    assert!(run(&acceptor, request(REMOTES[0], "debug", now)).is_ok());
}

#[test]
fn both_messages_are_bare() {
    let id = InstanceId::new([9; 16]);
    let reason = ConnectRejection::WrongSide;
    let connect = connect(&ConnectRequest::default());
    for (bytes, op) in [
        (connect, Op::Connect),
        (accept(id, None), Op::ConnectResponse),
        (reject(id, &reason), Op::ConnectResponse),
    ] {
        let message = Message::decode(bytes.into()).unwrap();
        assert_eq!((message.op, message.flags), (op, Flags::empty()));
        assert_eq!(
            (message.mux, message.seq, message.deadline_ms),
            (MuxId::CONNECTION, 0, 0)
        );
    }
}

#[test]
fn the_dialer_learns_the_reason() {
    let id = InstanceId::new([9; 16]);
    let reason = ConnectRejection::UnknownHost("http://node-a:9000".into());
    let answer = read_response(reject(id, &reason).into());
    assert_eq!(answer, Err(AnswerError::Rejected(reason)));
    let extra = Some(Extra {
        version: 1,
        capabilities: 3,
    });
    assert_eq!(
        read_response(accept(id, extra).into()),
        Ok(Acceptance { id, extra })
    );
}

#[test]
fn an_answer_that_is_none_says_what_it_is() {
    let ping = message(Op::Ping, Vec::new());
    assert_eq!(
        read_response(ping.into()),
        Err(AnswerError::UnexpectedOp(Op::Ping))
    );
    let empty = message(Op::ConnectResponse, Vec::new());
    assert!(matches!(
        read_response(empty.into()),
        Err(AnswerError::Response(_))
    ));
    assert!(matches!(
        read_response(Bytes::new()),
        Err(AnswerError::Message(_))
    ));
}
