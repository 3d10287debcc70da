//! Typed payloads of the reference implementation: the same values give the same bytes, and the
//! other way round.

#![cfg(feature = "json")]

use grid_typed::{Array, Bytes, DecodeError, Json, Message, NoPayload, StringMap, UrlValues};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

/// A type of the vectors: how its values are noted, and which of them are nil.
trait Noted: Message + PartialEq + std::fmt::Debug {
    fn noted(value: &Value) -> Self;

    fn is_nil(&self) -> bool {
        false
    }
}

impl Noted for StringMap {
    fn noted(value: &Value) -> Self {
        match value.as_object() {
            Some(map) => map.iter().map(|(key, value)| (key, text(value))).collect(),
            None => Self::nil(),
        }
    }

    fn is_nil(&self) -> bool {
        self.is_nil()
    }
}

impl Noted for Bytes {
    fn noted(value: &Value) -> Self {
        match value {
            Value::Null => Self::nil(),
            Value::Object(repeat) => {
                let unit = hex::decode(text(&repeat["repeat_hex"])).expect("hex");
                Self::from(unit.repeat(repeat["count"].as_u64().expect("a count") as usize))
            }
            hex => Self::from(hex::decode(text(hex)).expect("hex")),
        }
    }

    fn is_nil(&self) -> bool {
        self.is_nil()
    }
}

impl Noted for UrlValues {
    fn noted(value: &Value) -> Self {
        let mut values = Self::new();
        for (key, list) in value.as_object().into_iter().flatten() {
            let list = list
                .as_array()
                .into_iter()
                .flatten()
                .map(|value| text(value).to_owned());
            values.insert(key, list.collect());
        }
        values
    }
}

#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
struct Probe {
    n: i64,
    s: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    list: Vec<String>,
}

impl Noted for Json<Probe> {
    fn noted(value: &Value) -> Self {
        match value {
            Value::Null => Self::nil(),
            value => Self::new(serde_json::from_value(value.clone()).expect("a probe")),
        }
    }

    fn is_nil(&self) -> bool {
        self.is_nil()
    }
}

impl<T: Noted + Serialize + for<'de> Deserialize<'de>> Noted for Array<T> {
    fn noted(value: &Value) -> Self {
        value
            .as_array()
            .map_or_else(Self::nil, |items| items.iter().map(T::noted).collect())
    }

    fn is_nil(&self) -> bool {
        self.is_nil()
    }
}

impl Noted for NoPayload {
    fn noted(_: &Value) -> Self {
        Self
    }
}

#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct TestRequest {
    num: i64,
    string: String,
}

impl Noted for TestRequest {
    fn noted(value: &Value) -> Self {
        serde_json::from_value(value.clone()).expect("a request")
    }
}

#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct TestResponse {
    org_num: i64,
    org_string: String,
    embedded: TestRequest,
}

impl Noted for TestResponse {
    fn noted(value: &Value) -> Self {
        serde_json::from_value(value.clone()).expect("a response")
    }
}

fn text(value: &Value) -> &str {
    value.as_str().expect("a string")
}

fn entries(list: &str) -> Vec<Value> {
    let vectors: Value = serde_json::from_str(include_str!("vectors/typed.json")).expect("JSON");
    vectors[list].as_array().expect("a list").clone()
}

fn encodes<T: Noted>(entry: &Value) {
    let value = T::noted(&entry["value"]);
    let written = grid_typed::encode(&value).expect("encodes");
    if let Some(expected) = entry["hex"].as_str() {
        let note = entry["note"].as_str().unwrap_or_default();
        if note.contains("key order varies") {
            assert_eq!(written.len(), expected.len() / 2, "{entry}");
        } else {
            assert_eq!(hex::encode(&written), expected, "{entry}");
        }
        reads_back(&value, &hex::decode(expected).expect("hex"), entry);
    } else {
        assert_eq!(
            written.len() as u64,
            entry["len"].as_u64().expect("a length"),
            "{entry}"
        );
        assert!(
            hex::encode(&written).starts_with(text(&entry["head_hex"])),
            "{entry}"
        );
        assert_eq!(
            hex::encode(Sha256::digest(&written)),
            text(&entry["sha256"]),
            "{entry}"
        );
    }
    reads_back(&value, &written, entry);
}

fn reads_back<T: Noted>(value: &T, payload: &[u8], entry: &Value) {
    let mut rest = payload;
    assert_eq!(&T::decode(&mut rest).expect("decodes"), value, "{entry}");
    assert!(rest.is_empty(), "{entry}");
}

fn decodes<T: Noted>(entry: &Value) {
    let payload = hex::decode(text(&entry["hex"])).expect("hex");
    let mut rest = &payload[..];
    let read = T::decode(&mut rest);
    if entry["ok"].as_bool().expect("a bool") {
        let value = read.unwrap_or_else(|error| panic!("{error} for {entry}"));
        let is_nil = entry["value_is_nil"].as_bool().unwrap_or(false);
        assert_eq!(value.is_nil(), is_nil, "{entry}");
        if !is_nil {
            assert_eq!(value, T::noted(&entry["value"]), "{entry}");
        }
        assert_eq!(hex::encode(rest), text(&entry["remaining_hex"]), "{entry}");
    } else {
        let cut_short = text(&entry["error"]).contains("too few bytes left");
        match read.expect_err(text(&entry["name"])) {
            DecodeError::Truncated { .. } => assert!(cut_short, "{entry}"),
            DecodeError::Invalid { .. } => assert!(!cut_short, "{entry}"),
            other => panic!("{other} for {entry}"),
        }
        assert_eq!(rest, payload, "{entry}");
    }
}

#[test]
fn the_same_values_give_the_same_bytes() {
    let entries = entries("encode");
    assert!(entries.len() > 50);
    for entry in &entries {
        assert!(entry["error"].is_null(), "{entry}");
        match text(&entry["type"]) {
            "MSS" => encodes::<StringMap>(entry),
            "Bytes" => encodes::<Bytes>(entry),
            "URLValues" => encodes::<UrlValues>(entry),
            "JSON{n int, s string, list []string omitempty}" => encodes::<Json<Probe>>(entry),
            "Array[MSS]" => encodes::<Array<StringMap>>(entry),
            "Array[Bytes]" => encodes::<Array<Bytes>>(entry),
            "NoPayload" => encodes::<NoPayload>(entry),
            "testRequest" => encodes::<TestRequest>(entry),
            "testResponse" => encodes::<TestResponse>(entry),
            other => panic!("no such type: {other}"),
        }
    }
}

#[test]
fn the_same_bytes_give_the_same_values() {
    let entries = entries("decode");
    assert!(entries.len() > 30);
    for entry in &entries {
        match text(&entry["type"]) {
            "MSS" => decodes::<StringMap>(entry),
            "Bytes" => decodes::<Bytes>(entry),
            "URLValues" => decodes::<UrlValues>(entry),
            "JSON" => decodes::<Json<Probe>>(entry),
            "Array[MSS]" => decodes::<Array<StringMap>>(entry),
            "NoPayload" => decodes::<NoPayload>(entry),
            other => panic!("no such type: {other}"),
        }
    }
}
