//! Recorded messages and conversations.

use std::{fs, path::PathBuf};

use serde_json::Value;

/// A file of recordings.
pub(crate) fn load(file: &str) -> Value {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/vectors")
        .join(file);
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path:?}: {error}"));
    serde_json::from_str(&text).unwrap()
}

/// Which way something went.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Way {
    ToServer,
    ToClient,
}

/// What both ends of a recorded conversation sent, in order: heads and frames as they travel.
pub(crate) fn conversation(name: &str) -> Vec<(Way, Vec<u8>)> {
    let recording = load(&format!("transcripts/{name}.json"));
    let entries = recording["entries"].as_array().unwrap();
    entries.iter().filter_map(entry).collect()
}

/// What one end sent, as one run of bytes.
pub(crate) fn direction(name: &str, way: Way) -> Vec<u8> {
    let pieces = conversation(name).into_iter();
    pieces
        .filter(|(its, _)| *its == way)
        .flat_map(|(_, bytes)| bytes)
        .collect()
}

fn entry(entry: &Value) -> Option<(Way, Vec<u8>)> {
    let way = match entry["dir"].as_str()? {
        "c2s" => Way::ToServer,
        _ => Way::ToClient,
    };
    let bytes = match entry["kind"].as_str()? {
        "http" => {
            let lines = entry["lines"].as_array()?.iter();
            let lines: Vec<_> = lines.filter_map(Value::as_str).collect();
            format!("{}\r\n\r\n", lines.join("\r\n")).into_bytes()
        }
        "ws" => {
            let opcode = u8::try_from(entry["ws_opcode"].as_u64()?).ok()?;
            let payload = hex::decode(entry["frame_hex"].as_str()?).ok()?;
            let is_final = entry["ws_fin"].as_bool()?;
            frame(opcode, is_final, entry["ws_masked"].as_bool()?, &payload)
        }
        _ => return None,
    };
    Some((way, bytes))
}

/// A websocket frame; the mask is always the same.
pub(crate) fn frame(opcode: u8, is_final: bool, is_masked: bool, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![opcode | if is_final { 0x80 } else { 0 }];
    let bit = if is_masked { 0x80 } else { 0 };
    match payload.len() {
        len @ 0..=125 => bytes.push(bit | u8::try_from(len).unwrap()),
        len @ 126..=0xffff => {
            bytes.push(bit | 126);
            bytes.extend_from_slice(&u16::try_from(len).unwrap().to_be_bytes());
        }
        len => {
            bytes.push(bit | 127);
            bytes.extend_from_slice(&u64::try_from(len).unwrap().to_be_bytes());
        }
    }
    let mask: &[u8] = if is_masked {
        &[0x82, 0x97, 5, 0xff]
    } else {
        &[0]
    };
    if is_masked {
        bytes.extend_from_slice(mask);
    }
    bytes.extend(payload.iter().zip(mask.iter().cycle()).map(|(a, b)| a ^ b));
    bytes
}
