//! `payloads.json`: the structures.

use bytes::Bytes;
use grid_proto::InstanceId;
use grid_proto::wire::{
    ConnectRequest, ConnectResponse, DecodeError, MuxConnectError, Ping, Pong, Text, Timestamp,
};
use serde::Deserialize;
use serde_json::Value;

use crate::entry::vectors;

/// Inputs that the reference accepts and that are refused here.
const REFUSED_ON_PURPOSE: [(&str, &str); 1] = [(
    "truncated",
    "the reference pads an ID that ends too early with zeros, a fault (last section of the annex): a cut message is no message",
)];

#[derive(Deserialize)]
struct Payloads {
    encode: Vec<Encode>,
    decode: Vec<Decode>,
}

#[derive(Deserialize)]
struct Encode {
    #[serde(rename = "type")]
    kind: String,
    name: String,
    fields: Value,
    hex: String,
}

#[derive(Deserialize)]
struct Decode {
    #[serde(rename = "type")]
    kind: String,
    name: String,
    hex: String,
    ok: bool,
    fields: Option<Value>,
    remaining_hex: Option<String>,
}

/// Any of the structures, so that one test handles all.
#[derive(Debug, PartialEq, Clone)]
enum Structure {
    Request(ConnectRequest),
    Response(ConnectResponse),
    MuxError(MuxConnectError),
    Ping(Ping),
    Pong(Pong),
}

impl Structure {
    fn from_fields(kind: &str, fields: &Value) -> Self {
        match kind {
            "connectReq" => Self::Request(ConnectRequest {
                id: id(&fields["id_hex"]),
                host: text(&fields["host"]),
                time: time(&fields["time"]),
                token: text(&fields["token"]),
                extra: None,
            }),
            "connectResp" => Self::Response(ConnectResponse {
                id: id(&fields["id_hex"]),
                accepted: fields["accepted"].as_bool().unwrap(),
                rejected_reason: text(&fields["rejected_reason"]),
                extra: None,
            }),
            "muxConnectError" => Self::MuxError(MuxConnectError {
                error: text(&fields["error"]),
            }),
            "pingMsg" => Self::Ping(Ping {
                time: time(&fields["t"]),
            }),
            "pongMsg" => Self::Pong(Pong {
                not_found: fields["nf"].as_bool().unwrap(),
                error: (!fields["e"].is_null()).then(|| text(&fields["e"])),
                time: time(&fields["t"]),
            }),
            other => panic!("unknown structure {other}"),
        }
    }

    fn decode(kind: &str, bytes: &Bytes) -> Result<(Self, usize), DecodeError> {
        Ok(match kind {
            "connectReq" => {
                let (value, len) = ConnectRequest::decode_prefix(bytes)?;
                assert_eq!(ConnectRequest::decode(bytes)?, value);
                (Self::Request(value), len)
            }
            "connectResp" => {
                let (value, len) = ConnectResponse::decode_prefix(bytes)?;
                assert_eq!(ConnectResponse::decode(bytes)?, value);
                (Self::Response(value), len)
            }
            "muxConnectError" => {
                let (value, len) = MuxConnectError::decode_prefix(bytes)?;
                assert_eq!(MuxConnectError::decode(bytes)?, value);
                (Self::MuxError(value), len)
            }
            "pingMsg" => {
                let (value, len) = Ping::decode_prefix(bytes)?;
                assert_eq!(Ping::decode(bytes)?, value);
                (Self::Ping(value), len)
            }
            "pongMsg" => {
                let (value, len) = Pong::decode_prefix(bytes)?;
                assert_eq!(Pong::decode(bytes)?, value);
                (Self::Pong(value), len)
            }
            other => panic!("unknown structure {other}"),
        })
    }

    fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        let len = match self {
            Self::Request(value) => (value.encode(&mut out), value.encoded_len()).1,
            Self::Response(value) => (value.encode(&mut out), value.encoded_len()).1,
            Self::MuxError(value) => (value.encode(&mut out), value.encoded_len()).1,
            Self::Ping(value) => (value.encode(&mut out), value.encoded_len()).1,
            Self::Pong(value) => (value.encode(&mut out), value.encoded_len()).1,
        };
        assert_eq!(out.len(), len);
        out
    }

    /// The same with every text shown and read back: JSON has no other form for a text that is no UTF-8.
    fn lossy(mut self) -> Self {
        let shown = |text: &mut Text| *text = Text::from(text.to_string());
        match &mut self {
            Self::Request(value) => {
                shown(&mut value.host);
                shown(&mut value.token);
            }
            Self::Response(value) => shown(&mut value.rejected_reason),
            Self::MuxError(value) => shown(&mut value.error),
            Self::Ping(_) => {}
            Self::Pong(value) => value.error.iter_mut().for_each(shown),
        }
        self
    }
}

fn id(value: &Value) -> InstanceId {
    InstanceId::new(
        hex::decode(value.as_str().unwrap())
            .unwrap()
            .try_into()
            .unwrap(),
    )
}

fn text(value: &Value) -> Text {
    Text::from(value.as_str().unwrap())
}

pub(crate) fn time(value: &Value) -> Timestamp {
    let time = Timestamp {
        secs: value["unix_sec"].as_i64().unwrap(),
        nanos: value["nanosec"].as_u64().unwrap().try_into().unwrap(),
    };
    assert_eq!(time.is_zero(), value["is_zero"].as_bool().unwrap());
    time
}

#[test]
fn encoded_to_the_same_bytes_and_back() {
    let Payloads { encode, .. } = vectors("payloads.json");
    assert!(encode.len() > 45, "{}", encode.len());
    for Encode {
        kind,
        name,
        fields,
        hex: expected,
    } in encode
    {
        let value = Structure::from_fields(&kind, &fields);
        let bytes = value.encode();
        assert_eq!(hex::encode(&bytes), expected, "{kind} {name}");
        let len = bytes.len();
        assert_eq!(
            Structure::decode(&kind, &bytes.into()).unwrap(),
            (value, len),
            "{kind} {name}"
        );
    }
}

#[test]
fn decoded_as_the_reference_does() {
    let Payloads { decode, .. } = vectors("payloads.json");
    assert!(decode.len() > 35, "{}", decode.len());
    let mut refused_on_purpose = Vec::new();
    for Decode {
        kind,
        name,
        hex,
        ok,
        fields,
        remaining_hex,
    } in decode
    {
        let bytes = Bytes::from(hex::decode(hex).unwrap());
        match Structure::decode(&kind, &bytes) {
            Ok((value, len)) => {
                assert!(ok, "{kind} {name}: accepted {value:?}");
                assert_eq!(
                    value.lossy(),
                    Structure::from_fields(&kind, &fields.unwrap()),
                    "{kind} {name}"
                );
                assert_eq!(
                    hex::encode(&bytes[len..]),
                    remaining_hex.unwrap_or_default(),
                    "{kind} {name}"
                );
            }
            Err(_) if !ok => {}
            Err(error) => {
                let known = REFUSED_ON_PURPOSE.iter().find(|(known, _)| *known == name);
                let (known, _) = known.unwrap_or_else(|| panic!("{kind} {name}: refused: {error}"));
                refused_on_purpose.push(*known);
            }
        }
    }
    let expected: Vec<_> = REFUSED_ON_PURPOSE.iter().map(|(name, _)| *name).collect();
    assert_eq!(
        refused_on_purpose, expected,
        "an exception that nothing needs"
    );
}
