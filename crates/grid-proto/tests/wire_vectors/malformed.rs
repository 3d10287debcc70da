//! `malformed.json`: what is refused, why and where.

use std::collections::BTreeSet;

use bytes::Bytes;
use grid_proto::wire::{DecodeError, Field, Frame, Kind};
use serde::Deserialize;

use crate::entry::vectors;
use crate::merged::{self, take_apart};

#[derive(Deserialize)]
struct Entry {
    #[serde(flatten)]
    common: merged::Entry,
    error: Option<String>,
    remaining_len: Option<usize>,
}

fn entries() -> Vec<Entry> {
    let entries: Vec<Entry> = vectors("malformed.json");
    assert!(entries.len() > 250, "{}", entries.len());
    entries
}

#[test]
fn refused_and_accepted_as_the_reference_does() {
    for Entry {
        common,
        remaining_len,
        ..
    } in entries()
    {
        let bytes = Bytes::from(common.frame.bytes().unwrap());
        let (messages, error) = take_apart(bytes.clone());
        common.assert_taken(&messages, error);
        if let Some(remaining) = remaining_len {
            let (_, rest) = Frame::decode_with_rest(&bytes).unwrap();
            assert_eq!(rest.len(), remaining, "{}", common.name);
        }
    }
}

/// A cleared CRC bit turns the checksum into part of what precedes the subroute id, and nothing on the wire tells. The
/// reference accepts it (last section of the annex), and so must a reader that ignores stray bytes.
#[test]
fn a_cleared_checksum_bit_shifts_the_subroute() {
    let entries = entries();
    let find = |name: &str| {
        entries
            .iter()
            .find(|entry| entry.common.name == name)
            .unwrap()
    };
    let sent = find("valid_subroute_crc").common.frame.bytes().unwrap();
    let flipped = find("valid_subroute_crc_bit0_flipped_at_12")
        .common
        .frame
        .bytes()
        .unwrap();
    let (sent, flipped) = (
        Frame::decode(&sent).unwrap(),
        Frame::decode(&flipped).unwrap(),
    );
    assert_ne!(sent.subroute, flipped.subroute);
    assert_eq!(sent.payload, flipped.payload);
}

/// The error names the same cause and the same field as the reference's text.
#[test]
fn errors_say_what_and_where() {
    let mut causes = BTreeSet::new();
    for Entry {
        common,
        error: text,
        ..
    } in entries()
    {
        let Some(text) = text else { continue };
        let (_, error) = take_apart(common.frame.bytes().unwrap().into());
        let error = error.unwrap();
        causes.insert(assert_same_cause(&common.name, &text, error));
        if let Some((_, field)) = text.rsplit_once(" at ") {
            assert_eq!(error.field(), field_named(field), "{}: {text}", common.name);
        }
    }
    let all = ["checksum", "length", "missing", "range", "short", "type"];
    assert_eq!(causes, BTreeSet::from(all));
}

fn assert_same_cause(name: &str, text: &str, error: DecodeError) -> &'static str {
    let number_after = |prefix: &str| -> u32 {
        let rest = text.split_once(prefix).unwrap().1;
        let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
        digits.parse().unwrap()
    };
    match error {
        DecodeError::Truncated { .. } => {
            assert!(
                text.contains("too few bytes left"),
                "{name}: {text} / {error}"
            );
            "short"
        }
        DecodeError::WrongType { found, .. } => {
            if found == Kind::Reserved {
                assert!(
                    text.contains("unrecognized type prefix"),
                    "{name}: {text} / {error}"
                );
                return "type";
            }
            let name_in_text = text
                .split('"')
                .nth(1)
                .unwrap_or_else(|| panic!("{name}: {text} / {error}"));
            assert_eq!(found, kind_named(name_in_text), "{name}: {text}");
            "type"
        }
        DecodeError::OutOfRange { .. } => {
            assert!(
                text.contains("overflows") || text.contains("to unsigned"),
                "{name}: {text} / {error}"
            );
            "range"
        }
        DecodeError::WrongLength { found, wanted, .. } => {
            assert_eq!(number_after("wanted array of size "), wanted, "{name}");
            assert_eq!(number_after("got "), found, "{name}");
            "length"
        }
        DecodeError::MissingTrailer {
            field,
            found,
            wanted,
            ..
        } => {
            let trailer = if field == Field::Checksum {
                "want crc len "
            } else {
                "want subroute len "
            };
            assert_eq!(number_after(trailer), wanted, "{name}");
            assert_eq!(number_after("got "), found, "{name}");
            "missing"
        }
        DecodeError::WrongChecksum {
            given, computed, ..
        } => {
            let expected =
                format!("crc mismatch: 0x{given:08x} (given) != 0x{computed:08x} (bytes)");
            assert_eq!(text, expected, "{name}");
            "checksum"
        }
        other => panic!("{name}: {text} / {other}"),
    }
}

fn kind_named(name: &str) -> Kind {
    match name {
        "int" | "uint" => Kind::Integer,
        "float32" | "float64" => Kind::Float,
        "str" => Kind::Str,
        "bin" => Kind::Bin,
        "nil" => Kind::Nil,
        "bool" => Kind::Bool,
        "array" => Kind::Array,
        "map" => Kind::Map,
        "ext" => Kind::Ext,
        other => panic!("unknown type {other}"),
    }
}

fn field_named(name: &str) -> Field {
    match name {
        "MuxID" => Field::MuxId,
        "Seq" => Field::Seq,
        "DeadlineMS" => Field::DeadlineMs,
        "Handler" => Field::Handler,
        "Op" => Field::Op,
        "Flags" => Field::Flags,
        "Payload" => Field::Payload,
        other => panic!("unknown field {other}"),
    }
}
