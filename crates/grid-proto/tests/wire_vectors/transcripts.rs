//! Every recorded message, as it went over the wire between two nodes: read as the reference read it, and written again
//! as the same bytes.

use bytes::Bytes;
use grid_proto::wire::{
    ConnectRequest, ConnectResponse, Message, MuxConnectError, Op, Ping, Pong, encode_merged,
    unfold,
};
use serde::Deserialize;
use serde_json::Value;

use crate::entry::{Fields, directory, encode, load};
use crate::payloads::time;

#[derive(Deserialize)]
struct Transcript {
    entries: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    frame_hex: Option<String>,
    decoded: Option<Value>,
}

#[test]
fn recorded_messages_are_read_and_written_the_same() {
    let (mut files, mut messages) = (0, 0);
    for path in std::fs::read_dir(directory().join("transcripts")).unwrap() {
        let path = path.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let transcript: Transcript = load(&path);
        for entry in transcript.entries {
            let (Some(decoded), Some(hex)) = (entry.decoded, entry.frame_hex) else {
                continue;
            };
            check(&name, &decoded, hex::decode(hex).unwrap().into());
            messages += 1;
        }
        files += 1;
    }
    assert!(files > 150, "{files}");
    assert!(messages > 900, "{messages}");
}

fn check(name: &str, decoded: &Value, bytes: Bytes) {
    if decoded.get("parse_error").is_some() {
        assert!(Message::decode(bytes).is_err(), "{name}");
        return;
    }
    let outer = Message::decode(bytes.clone()).unwrap_or_else(|error| panic!("{name}: {error}"));
    fields(decoded).assert_decoded(&outer, name);
    let inside: Result<Vec<_>, _> = unfold(bytes.clone()).collect();
    if outer.op != Op::Merged {
        assert_eq!(inside, Ok(vec![outer.clone()]), "{name}");
        assert_eq!(encode(&outer), bytes, "{name}");
        check_structures(name, decoded, &outer);
        return;
    }
    if decoded.get("merged_error").is_some() {
        assert!(inside.is_err(), "{name}");
        return;
    }
    let inside = inside.unwrap();
    let expected = decoded["merged"].as_array().unwrap();
    assert_eq!(inside.len(), expected.len(), "{name}");
    for (message, decoded) in inside.iter().zip(expected) {
        fields(decoded).assert_decoded(message, name);
        check_structures(name, decoded, message);
    }
    let mut again = Vec::new();
    encode_merged(&inside, &mut again);
    assert_eq!(again, bytes, "{name}");
}

fn fields(decoded: &Value) -> Fields {
    serde_json::from_value(decoded.clone()).unwrap()
}

/// Structures in payloads hold what was recorded, and are written as they were.
fn check_structures(name: &str, decoded: &Value, message: &Message) {
    let payload = &message.payload;
    let mut again = Vec::new();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    if let Some(request) = decoded
        .get("connect_req")
        .filter(|request| !request.is_null())
    {
        let value = ConnectRequest::decode(payload).unwrap();
        assert_eq!(value.host, text(&request["host"]).as_str(), "{name}");
        assert_eq!(value.token, text(&request["token"]).as_str(), "{name}");
        assert_eq!(value.time, time(&request["time"]), "{name}");
        assert_eq!(
            value.id.to_string(),
            text(&request["id"]).replace('-', ""),
            "{name}"
        );
        value.encode(&mut again);
    } else if let Some(response) = decoded
        .get("connect_resp")
        .filter(|response| !response.is_null())
    {
        let value = ConnectResponse::decode(payload).unwrap();
        assert_eq!(
            value.accepted,
            response["accepted"].as_bool().unwrap(),
            "{name}"
        );
        assert_eq!(
            value.rejected_reason,
            text(&response["rejected_reason"]).as_str(),
            "{name}"
        );
        assert_eq!(
            value.id.to_string(),
            text(&response["id"]).replace('-', ""),
            "{name}"
        );
        value.encode(&mut again);
    } else if let Some(error) = decoded.get("mux_connect_error") {
        let value = MuxConnectError::decode(payload).unwrap();
        assert_eq!(value.error, text(error).as_str(), "{name}");
        value.encode(&mut again);
    } else if let Some(ping) = decoded.get("ping").filter(|_| !payload.is_empty()) {
        let value = Ping::decode(payload).unwrap();
        assert_eq!(value.time, time(&ping["t"]), "{name}");
        value.encode(&mut again);
    } else if let Some(pong) = decoded.get("pong") {
        let value = Pong::decode(payload).unwrap();
        assert_eq!(value.not_found, pong["nf"].as_bool().unwrap(), "{name}");
        assert_eq!(
            value.error.as_ref().map(ToString::to_string),
            pong["e"].as_str().map(str::to_owned),
            "{name}"
        );
        assert_eq!(value.time, time(&pong["t"]), "{name}");
        value.encode(&mut again);
    } else {
        return;
    }
    assert_eq!(again, *payload, "{name}");
}
