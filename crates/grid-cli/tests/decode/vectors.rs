//! Every recorded message, right and wrong, through the binary.

use serde_json::Value;

use crate::{decode, recording::load};

/// The lines of each recorded frame that is there in full, with its recording.
fn decoded(file: &str) -> Vec<(Value, Vec<Value>)> {
    let recorded = load(file);
    let recorded: Vec<_> = recorded
        .as_array()
        .unwrap()
        .iter()
        .filter(|entry| {
            entry["frame_hex"]
                .as_str()
                .is_some_and(|hex| !hex.is_empty())
        })
        .collect();
    let text: String = recorded
        .iter()
        .map(|entry| {
            format!(
                "{} # {}\n",
                entry["frame_hex"].as_str().unwrap(),
                entry["name"]
            )
        })
        .collect();
    let ran = decode(&["--as", "hex", "--json", "--secrets"], text.as_bytes());
    let mut all: Vec<_> = recorded
        .into_iter()
        .map(|entry| (entry.clone(), vec![]))
        .collect();
    for line in ran.lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        let at = usize::try_from(line["line"].as_u64().unwrap()).unwrap() - 1;
        all[at].1.push(line);
    }
    all
}

fn is_damaged(line: &Value) -> bool {
    line["kind"] == "damage"
        || line["missing"].is_string()
        || line["checksum"] == "wrong"
        || line["checksum"] == "missing"
}

/// Compares a line with the fields of a recorded message.
#[track_caller]
fn assert_same(line: &Value, message: &Value) {
    for (key, recorded) in [
        ("mux", "muxid"),
        ("seq", "seq"),
        ("deadline_ms", "deadline_ms"),
        ("handler", "handler"),
        ("op_number", "op"),
        ("flag_bits", "flags"),
    ] {
        assert_eq!(line[key], message[recorded], "{key}: {line}\n{message}");
    }
    assert_eq!(line["subroute"], message["subhandlerid_hex"], "{message}");
    let payload = match &message["payload_hex"] {
        Value::Object(repeat) => {
            let count = usize::try_from(repeat["count"].as_u64().unwrap()).unwrap();
            repeat["repeat_hex"].as_str().unwrap().repeat(count).into()
        }
        other => other.clone(),
    };
    if message["payload_len"].is_null() {
        // The recording knows nothing of an error without a text; we show it as one.
        let shown = match &line["payload_hex"] {
            Value::String(hex) if hex.is_empty() && payload.is_null() => Value::Null,
            other => other.clone(),
        };
        assert_eq!(shown, payload, "{line}\n{message}");
    } else {
        assert_eq!(line["payload_len"], message["payload_len"], "{message}");
    }
}

#[test]
fn messages() {
    let all = decoded("messages.json");
    assert!(all.len() > 150);
    for (entry, lines) in &all {
        let name = &entry["name"];
        let first = lines.first().unwrap_or_else(|| panic!("{name}: no line"));
        assert!(!is_damaged(first), "{name}: {first}");
        let mut entry = entry.clone();
        if entry["parsed"]["payload_is_nil"] == true {
            entry["payload_hex"] = Value::Null;
        }
        if entry["parsed"]["subroute_present"] == false {
            entry["subhandlerid_hex"] = Value::Null;
        }
        assert_same(first, &entry);
        let stray = entry["parsed"]["remaining_len"].as_u64();
        assert_eq!(first["stray_bytes"].as_u64().or(Some(0)), stray, "{name}");
        assert_eq!(first["op"], entry["op_name"], "{name}");
    }
}

#[test]
fn merged_messages_and_malformed_ones() {
    for file in ["merged.json", "malformed.json"] {
        let mut refused = 0;
        for (entry, lines) in decoded(file) {
            let name = &entry["name"];
            let is_bad = lines.iter().any(is_damaged);
            assert_eq!(entry["ok"] == false, is_bad, "{file} {name}: {lines:#?}");
            refused += usize::from(is_bad);
            let Some(messages) = entry["messages"].as_array() else {
                continue;
            };
            let is_merged = lines[0]["op"] == "Merged";
            let shown: Vec<_> = lines
                .iter()
                .filter(|line| !is_merged || line["inside"] == true)
                .filter(|line| line["kind"] == "message")
                .collect();
            // Those before the damage are the recorded ones; we go on behind it.
            assert!(shown.len() >= messages.len(), "{file} {name}: {lines:#?}");
            for (line, message) in shown.iter().zip(messages) {
                assert_same(line, message);
            }
        }
        assert!(refused > 3, "{file}");
    }
}

#[test]
fn what_is_damaged_is_counted() {
    let text = "97 01 00 cd ea 60 09 0e 03 c4 04 72 65 71 30 4e 6e e9 c9\n\n# a comment\n97zz\n\
        970100cdea60090e03c404726571304e6ee9ca # the last byte\n97cd";
    let ran = decode(&[], text.as_bytes());
    assert_eq!(
        ran.lines(),
        [
            "      1 Request mux=1 seq=0 flags=CRC|EOF deadline=60s handler=9 crc=ok \
             payload=\"req0\" (4 bytes)",
            "      4 damage 'z' at character 3 is no hexadecimal digit",
            "      5 Request mux=1 seq=0 flags=CRC|EOF deadline=60s handler=9 crc=wrong \
             given=cae96e4e computed=c9e96e4e payload=\"req0\" (4 bytes)",
            "      6 damage no message: mux id at byte 1 is cut short; 2 bytes skipped",
        ]
    );
    assert_eq!(ran.code, Some(1));
    assert_eq!(ran.stderr, "grid: 3 of 4 messages are damaged\n");
}
