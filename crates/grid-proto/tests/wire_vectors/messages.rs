//! `messages.json`: one message and its bytes.

use bytes::Bytes;
use grid_proto::wire::{Frame, Message};
use grid_proto::{HandlerId, SubrouteId};
use serde::Deserialize;

use crate::entry::{Fields, FrameBytes, encode, vectors};

#[derive(Deserialize)]
struct Entry {
    name: String,
    #[serde(flatten)]
    fields: Fields,
    #[serde(flatten)]
    frame: FrameBytes,
    subroute: Option<String>,
    parsed: Parsed,
}

#[derive(Deserialize)]
struct Parsed {
    ok: bool,
    payload_is_nil: bool,
    payload_len: usize,
    subroute_present: bool,
    remaining_len: usize,
}

fn entries() -> Vec<Entry> {
    let entries: Vec<Entry> = vectors("messages.json");
    assert!(entries.len() > 150, "{}", entries.len());
    entries
}

#[test]
fn encodes_to_the_same_bytes() {
    for entry in entries() {
        entry
            .frame
            .assert_encoded(&encode(&entry.fields.message()), &entry.name);
    }
}

#[test]
fn decodes_to_the_same_values() {
    for Entry {
        name,
        fields,
        frame,
        parsed,
        ..
    } in entries()
    {
        let sent = fields.message();
        let bytes = Bytes::from(frame.bytes().unwrap_or_else(|| encode(&sent)));
        let (borrowed, rest) =
            Frame::decode_with_rest(&bytes).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(parsed.ok, "{name}");
        let message = Message::decode(bytes.clone()).unwrap();

        assert_eq!(borrowed, sent.as_frame(), "{name}");
        assert_eq!(message, sent, "{name}");
        assert_eq!(
            message.content().is_absent(),
            parsed.payload_is_nil,
            "{name}"
        );
        assert_eq!(message.content().len(), parsed.payload_len, "{name}");
        assert_eq!(
            message.subroute.is_some(),
            parsed.subroute_present,
            "{name}"
        );
        assert_eq!(rest.len(), parsed.remaining_len, "{name}");
    }
}

#[test]
fn subroute_ids_come_from_their_routes() {
    let mut seen = 0;
    for Entry {
        name,
        fields,
        subroute,
        ..
    } in entries()
    {
        if let Some(route) = subroute {
            let id = SubrouteId::new(HandlerId::new(fields.handler), &route);
            assert_eq!(fields.subroute(), Some(id), "{name}");
            seen += 1;
        }
    }
    assert!(seen > 10, "{seen}");
}

/// What a user hands in comes out as the same flags and bytes as the reference's.
#[test]
fn content_sets_the_zero_flag() {
    for Entry {
        name,
        fields,
        parsed,
        ..
    } in entries()
    {
        let sent = fields.message();
        let content = sent.content();
        assert_eq!(content.is_absent(), parsed.payload_is_nil, "{name}");
        let again = Message {
            payload: Bytes::new(),
            ..sent.clone()
        }
        .with_content(content);
        if sent.payload.is_empty() {
            assert_eq!(again, sent, "{name}");
        } else {
            assert_eq!(again.payload, sent.payload, "{name}");
        }
    }
}
