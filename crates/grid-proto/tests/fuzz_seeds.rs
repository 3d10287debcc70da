//! Replays the committed seeds through the bodies of the fuzz targets, and keeps the seeds true.
//!
//! The seeds of the wire targets are made from the vectors. `GRID_WRITE_SEEDS=1 cargo test -p grid-proto --all-features
//! --test fuzz_seeds` writes them again; without that variable the test compares.
#![cfg(feature = "__fuzzing")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use grid_proto::fuzzing;
use serde_json::Value;

type Body = fn(&[u8]);
type Seeds = BTreeMap<String, Vec<u8>>;

const FRAMES: [&str; 10] = [
    "op_Ping",
    "flags_3f",
    "flags_c0_unassigned_bits",
    "payload_zero_length_flagged_crc",
    "muxid_18446744073709551615",
    "deadline_4294967295",
    "connectmux_typical_subroute",
    "request_typical",
    "response_error_typical",
    "handler_255",
];
const DAMAGED: [&str; 8] = [
    "valid_subroute_crc_truncated_at_24",
    "valid_subroute_crc_bit0_flipped_at_12",
    "array32_header_len_7",
    "muxid_int64_positive",
    "payload_bin32_len_4gb_missing",
    "crc_covers_garbage_between_message_and_crc",
    "subroute_33_bytes_last_32_used",
    "crc_big_endian",
];
const MERGED: [&str; 8] = [
    "merged_1",
    "merged_3",
    "merged_10",
    "wrong_count_larger_than_content",
    "truncated_in_second",
    "inner_bad_crc",
    "nested_merged_inner_is_parsed_as_message",
    "outer_crc",
];

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz-seeds")
}

fn vectors(file: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/vectors")
        .join(file);
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn named(entries: &Value, names: &[&str], field: &str) -> Seeds {
    let entries = entries.as_array().unwrap();
    let find = |name: &str| {
        entries
            .iter()
            .find(|entry| entry["name"] == name)
            .unwrap_or_else(|| panic!("{name}"))
    };
    names
        .iter()
        .map(|name| {
            (
                (*name).to_owned(),
                hex::decode(find(name)[field].as_str().unwrap()).unwrap(),
            )
        })
        .collect()
}

fn frames() -> Seeds {
    let mut seeds = named(&vectors("messages.json"), &FRAMES, "frame_hex");
    seeds.extend(named(&vectors("malformed.json"), &DAMAGED, "frame_hex"));
    seeds
}

fn structures() -> Seeds {
    let payloads = vectors("payloads.json");
    let all = payloads["decode"].as_array().unwrap();
    let mut seeds: Seeds = all
        .iter()
        .map(|entry| {
            let name = format!(
                "{}_{}",
                entry["type"].as_str().unwrap(),
                entry["name"].as_str().unwrap()
            );
            (name, hex::decode(entry["hex"].as_str().unwrap()).unwrap())
        })
        .collect();
    let reasons = payloads["encode"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|entry| {
            let reason = entry["fields"]["rejected_reason"].as_str()?;
            Some((
                format!("text_{}", entry["name"].as_str().unwrap()),
                reason.as_bytes().to_vec(),
            ))
        });
    seeds.extend(reasons);
    seeds.insert("connectReq_with_extra".to_owned(), with_extra());
    seeds
}

fn with_extra() -> Vec<u8> {
    use grid_proto::wire::{ConnectRequest, Extra};
    let request = ConnectRequest {
        host: "http://node-a:9000".into(),
        token: "debug".into(),
        extra: Some(Extra {
            version: 1,
            capabilities: 1 << 40,
        }),
        ..ConnectRequest::default()
    };
    let mut bytes = Vec::new();
    request.encode(&mut bytes);
    bytes
}

fn targets() -> [(&'static str, Body, Seeds); 4] {
    [
        ("frame_decode", fuzzing::frame_decode, frames()),
        ("frame_roundtrip", fuzzing::frame_roundtrip, frames()),
        (
            "merged",
            fuzzing::merged,
            named(&vectors("merged.json"), &MERGED, "frame_hex"),
        ),
        ("structures", fuzzing::structures, structures()),
    ]
}

fn committed(target: &str) -> Seeds {
    let files = std::fs::read_dir(directory().join(target))
        .unwrap_or_else(|error| panic!("{target}: {error}"));
    files
        .map(|file| {
            let path = file.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            (name, std::fs::read(path).unwrap())
        })
        .collect()
}

#[test]
fn seeds_are_those_of_the_vectors() {
    let write = std::env::var_os("GRID_WRITE_SEEDS").is_some();
    for (target, _, seeds) in targets() {
        if write {
            let directory = directory().join(target);
            std::fs::create_dir_all(&directory).unwrap();
            for (name, bytes) in &seeds {
                std::fs::write(directory.join(name), bytes).unwrap();
            }
        }
        assert!(
            committed(target) == seeds,
            "the seeds of {target} differ from the vectors: write them again"
        );
    }
}

#[test]
fn seeds_pass() {
    for (target, body, _) in targets() {
        let seeds = committed(target);
        assert!(!seeds.is_empty(), "{target} has no seeds");
        for (name, bytes) in seeds {
            let outcome = std::panic::catch_unwind(|| body(&bytes));
            assert!(outcome.is_ok(), "{target}/{name} fails");
        }
    }
}

#[test]
fn what_the_fuzzer_found_passes() {
    for (target, body, _) in targets() {
        for input in fuzzing::kept(env!("CARGO_MANIFEST_DIR"), target) {
            let outcome = std::panic::catch_unwind(|| body(&input));
            assert!(outcome.is_ok(), "{target}: {input:02x?}");
        }
    }
}

/// The bodies also hold for every prefix of a seed, and with each byte changed.
#[test]
fn damaged_seeds_pass() {
    for (_, body, seeds) in targets() {
        for bytes in seeds.into_values() {
            let bytes = bytes.get(..256).unwrap_or(&bytes);
            for end in 0..bytes.len() {
                body(&bytes[..end]);
                let mut changed = bytes.to_vec();
                changed[end] = changed[end].wrapping_add(0x55);
                body(&changed);
            }
        }
    }
}
