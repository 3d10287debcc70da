//! `merged.json`: several messages in one.

use bytes::Bytes;
use grid_proto::wire::{DecodeError, Field, Frame, Message, encode_merged, merged_len, unfold};
use serde::Deserialize;

use crate::entry::{Fields, FrameBytes, vectors};

#[derive(Deserialize)]
pub(crate) struct Entry {
    pub(crate) name: String,
    #[serde(flatten)]
    pub(crate) frame: FrameBytes,
    pub(crate) ok: bool,
    pub(crate) error_stage: Option<String>,
    pub(crate) messages: Option<Vec<Fields>>,
}

/// Takes `bytes` apart: the messages before the first error, and the error.
pub(crate) fn take_apart(bytes: Bytes) -> (Vec<Message>, Option<DecodeError>) {
    let (mut messages, mut errors) = (Vec::new(), Vec::new());
    for result in unfold(bytes) {
        assert_eq!(errors, [], "something follows an error");
        match result {
            Ok(message) => messages.push(message),
            Err(error) => errors.push(error),
        }
    }
    (messages, errors.pop())
}

impl Entry {
    /// Checks what was taken out, and where the error was.
    pub(crate) fn assert_taken(&self, messages: &[Message], error: Option<DecodeError>) {
        let name = &self.name;
        assert_eq!(error.is_none(), self.ok, "{name}: {error:?}");
        let expected = self.messages.as_deref().unwrap_or_default();
        assert_eq!(messages.len(), expected.len(), "{name}");
        for (message, fields) in messages.iter().zip(expected) {
            fields.assert_decoded(message, name);
        }
        let Some(error) = error else { return };
        let len = self.frame.frame_len;
        assert!(error.offset() <= len, "{name}: {error} beyond {len}");
        match self.error_stage.as_deref().unwrap() {
            "ws read merged" => assert_eq!(error.field(), Field::MergedPart, "{name}: {error}"),
            "ws parse package" | "ws parse merged" => {
                assert_ne!(error.field(), Field::MergedPart, "{name}: {error}");
            }
            other => panic!("{name}: unknown stage {other}"),
        }
    }
}

fn entries() -> Vec<Entry> {
    let entries: Vec<Entry> = vectors("merged.json");
    assert!(entries.len() > 15, "{}", entries.len());
    entries
}

/// The two messages of `merged_sizes_300_and_40000`, whose frame is given by its hash alone.
fn large_parts(fields: &[Fields]) -> Vec<Message> {
    let payload = |len: usize| vec![7; len];
    fields
        .iter()
        .map(|fields| {
            let known = Fields {
                payload_len: None,
                payload_sha256: None,
                ..fields.clone()
            };
            let payload = match fields.payload_len {
                Some(len) => payload(len).into(),
                None => known.message().payload,
            };
            Message {
                payload,
                ..known.message()
            }
        })
        .collect()
}

#[test]
fn taken_apart_as_the_reference_does() {
    for entry in entries() {
        let bytes = entry.frame.bytes().unwrap_or_else(|| {
            let mut bytes = Vec::new();
            encode_merged(&large_parts(entry.messages.as_ref().unwrap()), &mut bytes);
            bytes
        });
        let (messages, error) = take_apart(bytes.into());
        entry.assert_taken(&messages, error);
    }
}

#[test]
fn put_together_as_the_reference_does() {
    let mut seen = 0;
    for entry in entries()
        .iter()
        .filter(|entry| entry.name.starts_with("merged_"))
    {
        let messages = large_parts(entry.messages.as_ref().unwrap());
        let mut bytes = Vec::new();
        encode_merged(&messages, &mut bytes);
        entry.frame.assert_encoded(&bytes, &entry.name);
        assert_eq!(
            merged_len(messages.iter().map(Message::encoded_len)),
            bytes.len(),
            "{}",
            entry.name
        );
        seen += 1;
    }
    assert!(seen >= 10, "{seen}");
}

/// An error inside points into the whole websocket message.
#[test]
fn errors_inside_are_placed_in_the_whole() {
    let entries = entries();
    let entry = entries
        .iter()
        .find(|entry| entry.name == "inner_bad_crc")
        .unwrap();
    let bytes = entry.frame.bytes().unwrap();
    let (_, error) = take_apart(bytes.clone().into());
    let Some(DecodeError::WrongChecksum { offset, given, .. }) = error else {
        panic!("{error:?}");
    };
    assert_eq!(offset, bytes.len() - 4);
    assert_eq!(given.to_le_bytes(), bytes[offset..]);
}

/// Decoding a message borrows: payloads lie inside the bytes that were given.
#[test]
fn payloads_are_slices() {
    for entry in entries().iter().filter(|entry| entry.ok) {
        let Some(bytes) = entry.frame.bytes().map(Bytes::from) else {
            continue;
        };
        let whole = bytes.as_ptr_range();
        for message in take_apart(bytes.clone()).0 {
            if !message.payload.is_empty() {
                assert!(whole.contains(&message.payload.as_ptr()), "{}", entry.name);
            }
        }
        let frame = Frame::decode(&bytes).unwrap();
        assert!(whole.contains(&frame.payload.as_ptr()), "{}", entry.name);
    }
}
