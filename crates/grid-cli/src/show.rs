//! Payloads as people read them: msgpack as JSON, else text, else hex.

use std::fmt::Write;

use rmp::Marker;
use rmp::decode as read;

/// Deeper values are not shown as msgpack.
const DEEPEST: usize = 128;

/// The payload in words, control characters kept as they are: msgpack as JSON when it is msgpack,
/// else text when it is text, else hex.
pub(crate) fn readable(bytes: &[u8]) -> String {
    if let Some(json) = msgpack(bytes) {
        return json;
    }
    match std::str::from_utf8(bytes) {
        Ok(text) if is_text(text) => text.to_owned(),
        _ => hex::encode(bytes),
    }
}

/// The bytes as JSON, where they are exactly one msgpack value that is no plain number: one byte
/// below 0x80 is a letter more often than a number.
///
/// Bytes that are text become a JSON string, others `hex:…`; a time becomes RFC 3339; keys that
/// are no strings are written as such.
pub(crate) fn msgpack(bytes: &[u8]) -> Option<String> {
    if *bytes.first()? < 0x80 {
        return None;
    }
    let mut rest = bytes;
    let mut json = String::new();
    value(&mut rest, &mut json, 0)?;
    rest.is_empty().then_some(json)
}

/// Whether a terminal shows it as it is.
pub(crate) fn is_text(text: &str) -> bool {
    text.chars()
        .all(|c| !c.is_control() || matches!(c, '\n' | '\r' | '\t'))
}

fn value(rest: &mut &[u8], json: &mut String, depth: usize) -> Option<()> {
    if depth > DEEPEST {
        return None;
    }
    let marker = Marker::from_u8(*rest.first()?);
    match marker {
        Marker::Null => {
            read::read_nil(rest).ok()?;
            json.push_str("null");
        }
        Marker::True | Marker::False => {
            let value = read::read_bool(rest).ok()?;
            json.push_str(if value { "true" } else { "false" });
        }
        Marker::FixPos(_) | Marker::U8 | Marker::U16 | Marker::U32 | Marker::U64 => {
            let value: u64 = read::read_int(rest).ok()?;
            write!(json, "{value}").ok()?;
        }
        Marker::FixNeg(_) | Marker::I8 | Marker::I16 | Marker::I32 | Marker::I64 => {
            let value: i64 = read::read_int(rest).ok()?;
            write!(json, "{value}").ok()?;
        }
        Marker::F32 => float(read::read_f32(rest).ok()?.into(), json),
        Marker::F64 => float(read::read_f64(rest).ok()?, json),
        Marker::FixStr(_) | Marker::Str8 | Marker::Str16 | Marker::Str32 => {
            let len = read::read_str_len(rest).ok()?;
            bytes(take(rest, len)?, json);
        }
        Marker::Bin8 | Marker::Bin16 | Marker::Bin32 => {
            let len = read::read_bin_len(rest).ok()?;
            bytes(take(rest, len)?, json);
        }
        Marker::FixArray(_) | Marker::Array16 | Marker::Array32 => {
            let len = read::read_array_len(rest).ok()?;
            json.push('[');
            for at in 0..len {
                if at > 0 {
                    json.push_str(", ");
                }
                value(rest, json, depth + 1)?;
            }
            json.push(']');
        }
        Marker::FixMap(_) | Marker::Map16 | Marker::Map32 => {
            let len = read::read_map_len(rest).ok()?;
            json.push('{');
            for at in 0..len {
                if at > 0 {
                    json.push_str(", ");
                }
                key(rest, json, depth + 1)?;
                json.push_str(": ");
                value(rest, json, depth + 1)?;
            }
            json.push('}');
        }
        Marker::FixExt1
        | Marker::FixExt2
        | Marker::FixExt4
        | Marker::FixExt8
        | Marker::FixExt16
        | Marker::Ext8
        | Marker::Ext16
        | Marker::Ext32 => extension(rest, json)?,
        Marker::Reserved => return None,
    }
    Some(())
}

/// A key has to be a string in JSON.
fn key(rest: &mut &[u8], json: &mut String, depth: usize) -> Option<()> {
    let mut shown = String::new();
    value(rest, &mut shown, depth)?;
    if shown.starts_with('"') {
        json.push_str(&shown);
    } else {
        json.push_str(&quoted(&shown));
    }
    Some(())
}

fn extension(rest: &mut &[u8], json: &mut String) -> Option<()> {
    let head = read::read_ext_meta(rest).ok()?;
    let data = take(rest, head.size)?;
    if head.typeid == 5
        && let Some((seconds, nanos)) = data.split_first_chunk::<8>()
        && let Ok(nanos) = <[u8; 4]>::try_from(nanos)
    {
        json.push_str(&quoted(&time(
            i64::from_be_bytes(*seconds),
            u32::from_be_bytes(nanos),
        )));
    } else {
        let text = format!("ext {}: hex:{}", head.typeid, hex::encode(data));
        json.push_str(&quoted(&text));
    }
    Some(())
}

/// A point in time as RFC 3339, where it is one that a calendar of four-digit years has.
pub(crate) fn time(seconds: i64, nanos: u32) -> String {
    let since = u64::try_from(seconds)
        .ok()
        .filter(|seconds| *seconds < 253_402_300_800 && nanos < 1_000_000_000);
    match since {
        Some(since) => {
            let time = std::time::UNIX_EPOCH + std::time::Duration::new(since, nanos);
            humantime::format_rfc3339_nanos(time).to_string()
        }
        None => format!("{seconds} s {nanos} ns"),
    }
}

fn bytes(bytes: &[u8], json: &mut String) {
    match std::str::from_utf8(bytes) {
        Ok(text) => json.push_str(&quoted(text)),
        Err(_) => {
            json.push_str("\"hex:");
            json.push_str(&hex::encode(bytes));
            json.push('"');
        }
    }
}

fn float(value: f64, json: &mut String) {
    if value.is_finite() {
        json.push_str(&serde_json::json!(value).to_string());
    } else {
        json.push_str(&quoted(&value.to_string()));
    }
}

/// A JSON string, with what a terminal obeys written out.
pub(crate) fn quoted(text: &str) -> String {
    let mut json = String::with_capacity(text.len() + 2);
    json.push('"');
    for c in text.chars() {
        match c {
            '"' => json.push_str("\\\""),
            '\\' => json.push_str("\\\\"),
            '\n' => json.push_str("\\n"),
            '\r' => json.push_str("\\r"),
            '\t' => json.push_str("\\t"),
            c if c.is_control() => {
                // All control characters are below U+00A0.
                json.push_str(&format!("\\u{:04x}", u32::from(c)));
            }
            c => json.push(c),
        }
    }
    json.push('"');
    json
}

fn take<'a>(rest: &mut &'a [u8], len: u32) -> Option<&'a [u8]> {
    let len = usize::try_from(len).ok()?;
    let (taken, left) = rest.split_at_checked(len)?;
    *rest = left;
    Some(taken)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn msgpack_of(value: &serde_json::Value) -> Vec<u8> {
        let mut out = Vec::new();
        rmpv::encode::write_value(&mut out, &rmpv::ext::to_value(value).unwrap()).unwrap();
        out
    }

    #[test]
    fn msgpack_is_shown_as_json() {
        let value = serde_json::json!({
            "a": [1, -2, 1.5, null, true, "x\"\n"], "": {}, "big": u64::MAX, "list": [],
        });
        let shown = msgpack(&msgpack_of(&value)).unwrap();
        let read: serde_json::Value = serde_json::from_str(&shown).unwrap();
        assert_eq!(read, value);
    }

    #[test]
    fn what_json_lacks_is_written_out() {
        // {1: bin [ff], "t": time, nil: NaN}
        let mut bytes = vec![0x83, 0x01, 0xc4, 0x01, 0xff, 0xa1, b't', 0xc7, 12, 5];
        bytes.extend_from_slice(&1_700_000_000_i64.to_be_bytes());
        bytes.extend_from_slice(&5_u32.to_be_bytes());
        bytes.extend_from_slice(&[0xc0, 0xcb]);
        bytes.extend_from_slice(&f64::NAN.to_be_bytes());
        assert_eq!(
            msgpack(&bytes).unwrap(),
            r#"{"1": "hex:ff", "t": "2023-11-14T22:13:20.000000005Z", "null": "NaN"}"#
        );
        assert_eq!(msgpack(&[0xd4, 9, 7]).unwrap(), r#""ext 9: hex:07""#);
    }

    #[test]
    fn only_whole_values_are_msgpack() {
        for bytes in [
            &b""[..],
            b"5",
            b"hello",
            &[0x92, 1],
            &[0xc0, 0xc0],
            &[0xc1],
            &[0xdd, 0xff, 0xff, 0xff, 0xff],
            &[0xc6, 0xff, 0xff, 0xff, 0xff, 1],
        ] {
            assert_eq!(msgpack(bytes), None, "{bytes:?}");
        }
        assert_eq!(msgpack(&[0x91; 100_000]), None);
    }

    #[test]
    fn text_is_text_and_the_rest_is_hex() {
        assert_eq!(readable(b"5"), "5");
        assert_eq!(readable("zwei\nZeilen é".as_bytes()), "zwei\nZeilen é");
        assert_eq!(readable(b"\x1b[2J"), "1b5b324a");
        assert_eq!(readable(&[0x00, 0xff]), "00ff");
    }
}
