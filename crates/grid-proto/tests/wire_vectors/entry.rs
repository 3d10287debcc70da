//! What the vector files have in common.

use std::path::{Path, PathBuf};

use grid_proto::wire::{Flags, Message, Op};
use grid_proto::{HandlerId, MuxId, SubrouteId};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};

pub(crate) fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors")
}

pub(crate) fn load<T: DeserializeOwned>(path: &Path) -> T {
    let text = std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_slice(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

pub(crate) fn vectors<T: DeserializeOwned>(name: &str) -> T {
    load(&directory().join(name))
}

pub(crate) fn sha256(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

/// Bytes as hexadecimal, or one byte sequence many times.
#[derive(Deserialize, Clone)]
#[serde(untagged)]
pub(crate) enum Hex {
    Plain(String),
    Repeated { repeat_hex: String, count: usize },
}

impl Hex {
    pub(crate) fn bytes(&self) -> Vec<u8> {
        match self {
            Self::Plain(text) => hex::decode(text).unwrap(),
            Self::Repeated { repeat_hex, count } => hex::decode(repeat_hex).unwrap().repeat(*count),
        }
    }
}

/// The fields of a message. `payload_hex` is null for an absent payload, which `payload_len` beside it contradicts.
#[derive(Deserialize, Clone)]
pub(crate) struct Fields {
    pub(crate) muxid: u64,
    pub(crate) seq: u32,
    pub(crate) deadline_ms: u32,
    pub(crate) handler: u8,
    pub(crate) op: u8,
    pub(crate) op_name: String,
    pub(crate) flags: u8,
    pub(crate) payload_hex: Option<Hex>,
    pub(crate) payload_len: Option<usize>,
    pub(crate) payload_sha256: Option<String>,
    pub(crate) subhandlerid_hex: Option<String>,
}

impl Fields {
    pub(crate) fn subroute(&self) -> Option<SubrouteId> {
        let bytes = hex::decode(self.subhandlerid_hex.as_ref()?).unwrap();
        Some(SubrouteId::from_bytes(bytes.try_into().unwrap()))
    }

    /// The message to encode, with the flags as they are.
    pub(crate) fn message(&self) -> Message {
        assert_eq!(self.payload_len, None, "the payload is not known");
        Message {
            mux: MuxId::new(self.muxid),
            seq: self.seq,
            deadline_ms: self.deadline_ms,
            handler: HandlerId::new(self.handler),
            op: Op::from_u8(self.op),
            flags: Flags::from_bits_retain(self.flags),
            payload: self
                .payload_hex
                .as_ref()
                .map(Hex::bytes)
                .unwrap_or_default()
                .into(),
            subroute: self.subroute(),
        }
    }

    /// Checks that `message` was decoded as the reference decoded it, down to whether its payload is absent.
    pub(crate) fn assert_decoded(&self, message: &Message, name: &str) {
        assert_eq!(message.mux.get(), self.muxid, "{name}");
        assert_eq!(message.seq, self.seq, "{name}");
        assert_eq!(message.deadline_ms, self.deadline_ms, "{name}");
        assert_eq!(message.handler.get(), self.handler, "{name}");
        assert_eq!(message.op.as_u8(), self.op, "{name}");
        assert_eq!(message.op.to_string(), self.op_name, "{name}");
        assert_eq!(message.flags.bits(), self.flags, "{name}");
        assert_eq!(message.subroute, self.subroute(), "{name}");
        let content = message.content();
        match (&self.payload_hex, self.payload_len) {
            (Some(payload), _) => {
                assert!(!content.is_absent(), "{name}");
                assert_eq!(content.as_slice(), payload.bytes(), "{name}");
            }
            (None, Some(len)) => {
                assert_eq!(content.len(), len, "{name}");
                assert_eq!(
                    Some(sha256(content.as_slice())),
                    self.payload_sha256,
                    "{name}"
                );
            }
            (None, None) => assert!(content.is_absent(), "{name}"),
        }
    }
}

/// A frame in full, or by its length, hash and ends.
#[derive(Deserialize, Clone)]
pub(crate) struct FrameBytes {
    pub(crate) frame_hex: Option<String>,
    pub(crate) frame_len: usize,
    pub(crate) frame_sha256: Option<String>,
    pub(crate) frame_head_hex: Option<String>,
    pub(crate) frame_tail_hex: Option<String>,
}

impl FrameBytes {
    pub(crate) fn bytes(&self) -> Option<Vec<u8>> {
        self.frame_hex
            .as_ref()
            .map(|text| hex::decode(text).unwrap())
    }

    pub(crate) fn assert_encoded(&self, encoded: &[u8], name: &str) {
        assert_eq!(encoded.len(), self.frame_len, "{name}");
        if let Some(whole) = self.bytes() {
            assert_eq!(hex::encode(encoded), hex::encode(whole), "{name}");
            return;
        }
        let head = hex::decode(self.frame_head_hex.as_ref().unwrap()).unwrap();
        let tail = hex::decode(self.frame_tail_hex.as_ref().unwrap()).unwrap();
        assert!(encoded.starts_with(&head), "{name}");
        assert!(encoded.ends_with(&tail), "{name}");
        assert_eq!(
            sha256(encoded),
            *self.frame_sha256.as_ref().unwrap(),
            "{name}"
        );
    }
}

pub(crate) fn encode(message: &Message) -> Vec<u8> {
    let mut out = Vec::new();
    message.encode(&mut out);
    assert_eq!(out.len(), message.encoded_len());
    out
}
