//! A recorded conversation, as far as a replay needs it.

use std::{collections::HashMap, fs, path::PathBuf, sync::LazyLock};

use bytes::Bytes;
use grid_proto::{
    HandlerId, MuxId, SubrouteId,
    wire::{Flags, Message, Op},
};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::script::Role;

/// The directory of the recordings.
pub(crate) fn directory() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/transcripts")
}

/// One recorded conversation after its handshake.
#[derive(Debug)]
pub(crate) struct Recording {
    value: Value,
    /// When the handshake was done, in milliseconds.
    pub(crate) start: f64,
    /// When the last thing happened, in milliseconds.
    pub(crate) end: f64,
    messages: Vec<(f64, bool, Message)>,
}

impl Recording {
    pub(crate) fn read(file: &str) -> Self {
        let text = fs::read_to_string(directory().join(file)).unwrap();
        let value: Value = serde_json::from_str(&text).unwrap();
        let mut recording = Self {
            start: 0.0,
            end: 0.0,
            messages: Vec::new(),
            value: Value::Null,
        };
        for entry in value["entries"].as_array().unwrap() {
            let time = entry["t_ms"].as_f64().unwrap();
            recording.end = recording.end.max(time);
            if entry["kind"] != "ws" {
                assert_eq!(entry["kind"], "http", "{file}: not for a replay");
                continue;
            }
            let decoded = &entry["decoded"];
            let by_client = entry["dir"] == "c2s";
            match decoded["merged"].as_array() {
                Some(merged) => merged
                    .iter()
                    .for_each(|one| recording.messages.push((time, by_client, message(one)))),
                None => match message(decoded) {
                    message if message.op == Op::ConnectResponse => recording.start = time,
                    message if message.op == Op::Connect => {}
                    message => recording.messages.push((time, by_client, message)),
                },
            }
        }
        for observed in value["observed"].as_array().unwrap() {
            recording.end = recording.end.max(observed["t_ms"].as_f64().unwrap());
        }
        recording.value = value;
        recording
    }

    /// Whether the end of this role is a grid node.
    pub(crate) fn is_grid(&self, role: Role) -> bool {
        let end = if self.is_client(role) {
            "client"
        } else {
            "server"
        };
        self.value[end]["kind"] == "grid"
    }

    /// What was sent to the end of this role, and when.
    pub(crate) fn received(&self, role: Role) -> Vec<(f64, Message)> {
        self.of(!self.is_client(role))
    }

    /// What the end of this role sent, and when.
    pub(crate) fn sent(&self, role: Role) -> Vec<(f64, Message)> {
        self.of(self.is_client(role))
    }

    /// What the application at the end of this role told.
    pub(crate) fn observed(&self, role: Role) -> Vec<&Value> {
        let node = if self.is_client(role) { "c" } else { "s" };
        let all = self.value["observed"].as_array().unwrap();
        all.iter().filter(|event| event["node"] == node).collect()
    }

    fn of(&self, by_client: bool) -> Vec<(f64, Message)> {
        self.messages
            .iter()
            .filter(|(_, by, _)| *by == by_client)
            .map(|(time, _, message)| (*time, message.clone()))
            .collect()
    }

    fn is_client(&self, role: Role) -> bool {
        (role == Role::Caller) == (self.value["requester"] != "s")
    }
}

fn message(decoded: &Value) -> Message {
    let number = |key: &str| decoded[key].as_u64().unwrap();
    let small = |key: &str| u8::try_from(number(key)).unwrap();
    let payload = match (&decoded["payload_hex"], &decoded["payload_sha256"]) {
        (Value::String(text), _) => hex::decode(text).unwrap().into(),
        (_, Value::String(sha256)) => LONG[sha256].clone(),
        _ => Bytes::new(),
    };
    let subroute = decoded["subhandlerid_hex"].as_str().map(|text| {
        let bytes = hex::decode(text).unwrap();
        SubrouteId::from_bytes(bytes.try_into().unwrap())
    });
    Message {
        mux: MuxId::new(number("muxid")),
        seq: u32::try_from(number("seq")).unwrap(),
        deadline_ms: u32::try_from(number("deadline_ms")).unwrap(),
        handler: HandlerId::new(small("handler")),
        op: Op::from_u8(small("op")),
        flags: Flags::from_bits_retain(small("flags")),
        payload,
        subroute,
    }
}

/// The long payloads, of which the recordings have only the digest: one byte repeated.
static LONG: LazyLock<HashMap<String, Bytes>> = LazyLock::new(|| {
    (0..20)
        .map(|byte| vec![byte; 4000])
        .chain([vec![b'?'; 70_000]])
        .map(|bytes| (hex::encode(Sha256::digest(&bytes)), bytes.into()))
        .collect()
});
