//! The texts by which nodes refuse connections and calls.

use std::time::Duration;

use grid_proto::wire::{ConnectRejection, ConnectResponse, MuxConnectError, MuxRejection, Op};
use grid_proto::{HandlerId, SubrouteId};
use serde_json::Value;

use crate::entry::{directory, load, vectors};

/// Every rejection that was recorded, by file, and what it means.
#[test]
fn recorded_rejections_are_known_and_print_the_same() {
    use ConnectRejection as R;
    let token = |got: &str| R::Token(format!("invalid token. want empty, got {got}").into());
    let expected = [
        (
            "reject_clock_skew",
            R::ClockSkew(Duration::new(600, 67_784)),
        ),
        (
            "reject_clock_skew_future",
            R::ClockSkew(Duration::new(359, 999_952_237)),
        ),
        (
            "reject_empty_connect_payload",
            R::InvalidRequest("msgp: too few bytes left to read object".into()),
        ),
        ("reject_first_op_not_connect", R::UnexpectedOp(Op::Ping)),
        (
            "reject_garbage",
            R::InvalidMessage(
                "read write: msgp: attempted to decode type \"int\" with method for \"array\""
                    .into(),
            ),
        ),
        (
            "reject_unknown_host",
            R::UnknownHost("http://node-x3:9000".into()),
        ),
        ("reject_wrong_direction", R::WrongSide),
        ("reject_wrong_token", token("wrong")),
        ("reject_wrong_token_scripted", token("bad")),
        (
            "connect_first_frame_text",
            R::Unreadable("invalid utf8".into()),
        ),
    ];
    let mut found = Vec::new();
    for path in std::fs::read_dir(directory().join("transcripts")).unwrap() {
        let path = path.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let reasons = rejected_reasons(&load::<Value>(&path));
        let known = expected.iter().find(|(known, _)| *known == name);
        assert_eq!(reasons.is_empty(), known.is_none(), "{name}");
        for reason in reasons {
            let rejection = ConnectRejection::from_text(&reason);
            assert_eq!(rejection, known.unwrap().1, "{name}");
            assert_eq!(rejection.to_string().as_bytes(), reason, "{name}");
            assert_eq!(rejection.to_text().as_bytes(), reason, "{name}");
        }
        found.extend(known.map(|(known, _)| *known));
    }
    assert_eq!(found.len(), expected.len(), "{found:?}");
}

/// The reasons of all refusals in a transcript, from the bytes that were sent.
fn rejected_reasons(transcript: &Value) -> Vec<Vec<u8>> {
    let payloads = transcript["entries"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|entry| {
            let decoded = &entry["decoded"];
            let refused =
                decoded["connect_resp"]["accepted"] == Value::Bool(false) && decoded["op"] == 2;
            refused.then(|| hex::decode(decoded["payload_hex"].as_str().unwrap()).unwrap())
        });
    payloads
        .map(|payload| {
            let response = ConnectResponse::decode(&payload.into()).unwrap();
            assert!(!response.accepted);
            response.rejected_reason.as_bytes().to_vec()
        })
        .collect()
}

#[test]
fn encoded_reasons_are_known_and_print_the_same() {
    let payloads: Value = vectors("payloads.json");
    let mut seen = 0;
    for entry in payloads["encode"].as_array().unwrap() {
        let bytes = hex::decode(entry["hex"].as_str().unwrap()).unwrap().into();
        match entry["type"].as_str().unwrap() {
            "connectResp" => {
                let response = ConnectResponse::decode(&bytes).unwrap();
                let rejection = ConnectRejection::from_text(response.rejected_reason.as_bytes());
                assert_eq!(rejection.to_text(), response.rejected_reason);
                let is_known = !matches!(rejection, ConnectRejection::Other(_));
                assert_eq!(is_known, !response.accepted, "{rejection:?}");
                seen += 1;
            }
            "muxConnectError" => {
                let error = MuxConnectError::decode(&bytes).unwrap().error;
                assert_eq!(MuxRejection::from_text(error.as_bytes()).to_text(), error);
                seen += 1;
            }
            _ => {}
        }
    }
    assert!(seen > 15, "{seen}");
}

#[test]
fn connect_rejections_print_and_are_recognised() {
    use ConnectRejection as R;
    for (text, rejection) in [
        (
            "reading connect: unexpected EOF",
            R::Unreadable("unexpected EOF".into()),
        ),
        (
            "error parsing grid connect: x",
            R::InvalidMessage("x".into()),
        ),
        (
            "unexpected connect op: MuxServerMsg",
            R::UnexpectedOp(Op::MuxServerMsg),
        ),
        (
            "unexpected connect op: Op(200)",
            R::UnexpectedOp(Op::Unknown(200)),
        ),
        ("error parsing connectReq: y", R::InvalidRequest("y".into())),
        (
            "unknown incoming host: http://a",
            R::UnknownHost("http://a".into()),
        ),
        (
            "time difference too large between servers: 5m0.000000001s",
            R::ClockSkew(Duration::new(300, 1)),
        ),
        ("auth token: expired", R::Token("expired".into())),
        (
            "expected remote 'http://a', got 'http://b'",
            R::UnexpectedRemote {
                expected: "http://a".into(),
                got: "http://b".into(),
            },
        ),
        (
            "grid: expected to be client side, not server side",
            R::WrongSide,
        ),
        ("something new", R::Other("something new".into())),
        ("", R::Other("".into())),
        // Almost known, and printed otherwise: kept as it is.
        (
            "unexpected connect op: Op(14)",
            R::Other("unexpected connect op: Op(14)".into()),
        ),
        (
            "time difference too large between servers: 300s",
            R::Other("time difference too large between servers: 300s".into()),
        ),
        (
            "expected remote 'a'",
            R::Other("expected remote 'a'".into()),
        ),
    ] {
        assert_eq!(R::from_text(text.as_bytes()), rejection);
        assert_eq!(rejection.to_string(), text);
        assert_eq!(rejection.to_text(), text);
    }
}

#[test]
fn mux_rejections_print_and_are_recognised() {
    use MuxRejection as R;
    let subroute = SubrouteId::new(HandlerId::new(9), "subroute/1");
    let decimal: Vec<_> = subroute.as_bytes().iter().map(u8::to_string).collect();
    let decimal = format!("Invalid Handler for type: [{}]", decimal.join(" "));
    for (text, rejection) in [
        ("Invalid Handler", R::InvalidHandler),
        (
            "Invalid Handler for type: CheckParts3",
            R::UnknownHandler("CheckParts3".into()),
        ),
        (decimal.as_str(), R::UnknownSubroute(subroute)),
        ("Stateless streams not supported", R::Stateless),
        ("grid: refused: overloaded", R::Overloaded),
        ("grid: refused: shutting down", R::ShuttingDown),
        ("no room", R::Other("no room".into())),
        ("", R::Other("".into())),
        // No subroute id: too short, or a number that prints otherwise.
        (
            "Invalid Handler for type: [9 0]",
            R::UnknownHandler("[9 0]".into()),
        ),
    ] {
        assert_eq!(R::from_text(text.as_bytes()), rejection);
        assert_eq!(rejection.to_string(), text);
        assert_eq!(rejection.to_text(), text);
    }
    let padded = decimal.replacen("[9 0", "[09 0", 1);
    assert!(matches!(
        R::from_text(padded.as_bytes()),
        R::UnknownHandler(_)
    ));
}

/// Texts that are no UTF-8 travel on unchanged and are shown with a replacement.
#[test]
fn texts_inside_are_kept_as_bytes() {
    let sent = b"unknown incoming host: \xff\xfe";
    let rejection = ConnectRejection::from_text(sent);
    assert!(
        matches!(&rejection, ConnectRejection::UnknownHost(name) if name.as_bytes() == b"\xff\xfe")
    );
    assert_eq!(rejection.to_text().as_bytes(), sent);
    assert_eq!(
        rejection.to_string(),
        "unknown incoming host: \u{fffd}\u{fffd}"
    );

    let sent = b"Invalid Handler for type: \xff";
    let rejection = MuxRejection::from_text(sent);
    assert_eq!(rejection.to_text().as_bytes(), sent);
    assert_eq!(rejection.to_string(), "Invalid Handler for type: \u{fffd}");
}
