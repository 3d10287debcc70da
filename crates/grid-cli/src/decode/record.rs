//! What a line says, before it is text or JSON.

use std::net::SocketAddr;

use serde::{Serialize, Serializer};

/// One line.
#[derive(Debug, Serialize)]
pub(super) struct Record {
    #[serde(flatten)]
    pub(super) place: Place,
    /// Whether it is inside a merged message.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(super) inside: bool,
    #[serde(flatten)]
    pub(super) what: What,
}

/// Where something stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub(super) enum Place {
    /// So many bytes from the input's start.
    Offset { offset: u64 },
    /// In this line of a text.
    Line { line: u64 },
    /// In one direction of a connection.
    Packet {
        /// Microseconds since the start of the capture.
        #[serde(serialize_with = "seconds")]
        time: i64,
        src: SocketAddr,
        dst: SocketAddr,
        /// Bytes from the direction's start, as far as it was captured.
        offset: u64,
    },
}

/// What stands there.
#[derive(Debug, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(super) enum What {
    Message(Box<MessageRecord>),
    Http(HttpRecord),
    Text(PayloadRecord),
    Control(ControlRecord),
    Damage(DamageRecord),
}

/// A message, its fields as they are shown.
#[derive(Debug, Serialize)]
pub(super) struct MessageRecord {
    pub(super) op: String,
    pub(super) op_number: u8,
    pub(super) mux: u64,
    pub(super) seq: u32,
    pub(super) flags: String,
    pub(super) flag_bits: u8,
    pub(super) deadline_ms: u32,
    pub(super) handler: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) subroute: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) route: Option<String>,
    pub(super) checksum: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) checksum_given: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) checksum_computed: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) messages: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) stray_bytes: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) missing: Option<String>,
    #[serde(flatten)]
    pub(super) payload: PayloadRecord,
}

/// A payload, as far as it is shown.
#[derive(Debug, Default, Serialize)]
pub(super) struct PayloadRecord {
    /// None where there is no payload.
    pub(super) payload_len: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) payload: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) payload_hex: Option<String>,
    /// Whether a secret is left out.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(super) hidden: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) structure: Option<Structure>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) structure_error: Option<String>,
}

/// A payload that the protocol itself reads. Texts are quoted, and cut where they are long.
#[derive(Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Structure {
    Connect {
        host: Shown,
        time: Option<String>,
        id: String,
        token_len: usize,
        #[serde(skip_serializing_if = "Option::is_none")]
        token: Option<Shown>,
        #[serde(skip_serializing_if = "Option::is_none")]
        extra: Option<String>,
    },
    ConnectResponse {
        accepted: bool,
        reason: Shown,
        id: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        extra: Option<String>,
    },
    Ping {
        time: Option<String>,
    },
    Pong {
        time: Option<String>,
        not_found: bool,
        error: Option<Shown>,
    },
    Error(Shown),
}

/// A text that somebody else chose: what JSON gets, and what a line gets.
#[derive(Debug, Serialize)]
#[serde(into = "String")]
#[derive(Clone)]
pub(super) struct Shown {
    pub(super) text: String,
    pub(super) quoted: String,
}

impl From<Shown> for String {
    fn from(shown: Shown) -> Self {
        shown.text
    }
}

/// The head of an HTTP request or response.
#[derive(Debug, Serialize)]
pub(super) struct HttpRecord {
    /// The request's or the response's first line, without what may be secret.
    pub(super) start: String,
    pub(super) headers: Vec<HeaderRecord>,
}

/// One header.
#[derive(Debug, Serialize)]
pub(super) struct HeaderRecord {
    pub(super) name: String,
    pub(super) value_len: usize,
    /// None where it is a secret.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) value: Option<Shown>,
}

/// A control frame of websocket.
#[derive(Debug, Serialize)]
pub(super) struct ControlRecord {
    /// `ws-close`, `ws-ping` or `ws-pong`.
    pub(super) frame: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) code: Option<u16>,
    #[serde(flatten)]
    pub(super) payload: PayloadRecord,
}

/// What can't be read, and why.
#[derive(Debug, Serialize)]
pub(super) struct DamageRecord {
    pub(super) reason: String,
    /// So many bytes were passed over.
    pub(super) skipped: u64,
}

fn seconds<S: Serializer>(micros: &i64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&time(*micros))
}

/// Microseconds as seconds.
pub(super) fn time(micros: i64) -> String {
    let sign = if micros < 0 { "-" } else { "" };
    let micros = micros.unsigned_abs();
    format!("{sign}{}.{:06}", micros / 1_000_000, micros % 1_000_000)
}
