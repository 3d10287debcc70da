//! Any value comes back as it was, and no bytes make the decoder do worse than refuse.

#![cfg(all(feature = "json", feature = "value"))]

use std::collections::BTreeMap;
use std::fmt::Debug;

use grid_typed::{Array, Bytes, Json, Message, StringMap, Timestamp, UrlValues, Value, msgpack};
use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use proptest::test_runner::TestCaseError;
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Everything {
    signed: (i8, i16, i32, i64),
    unsigned: (u8, u16, u32, u64),
    floats: (f32, f64),
    text: String,
    letter: char,
    flag: bool,
    maybe: Option<u32>,
    map: BTreeMap<i32, String>,
    list: Vec<Shape>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Shape {
    Unit,
    Newtype(i64),
    Tuple(u8, Vec<u16>),
    Struct { a: String, b: Option<bool> },
}

fn texts() -> impl Strategy<Value = String> {
    prop_oneof![
        ".{0,8}",
        "[a-z]{28,40}",
        "<[é\u{2028}&>\"\\\\]{0,4}",
        vec(any::<char>(), 0..300).prop_map(String::from_iter)
    ]
}

fn string_maps() -> impl Strategy<Value = StringMap> {
    option::of(btree_map(texts(), texts(), 0..20))
        .prop_map(|map| map.map_or_else(StringMap::nil, StringMap::from))
}

fn bytes() -> impl Strategy<Value = Bytes> {
    option::of(vec(any::<u8>(), 0..600))
        .prop_map(|bytes| bytes.map_or_else(Bytes::nil, Bytes::from))
}

fn url_values() -> impl Strategy<Value = UrlValues> {
    btree_map(texts(), vec(texts(), 0..4), 0..20).prop_map(UrlValues::from)
}

fn arrays<T: Debug>(elements: impl Strategy<Value = T>) -> impl Strategy<Value = Array<T>> {
    option::of(vec(elements, 0..20)).prop_map(|list| list.map_or_else(Array::nil, Array::from))
}

fn jsons() -> impl Strategy<Value = Json<BTreeMap<String, Vec<i64>>>> {
    option::of(btree_map(texts(), vec(any::<i64>(), 0..4), 0..8))
        .prop_map(|map| map.map_or_else(Json::nil, Json::new))
}

fn times() -> impl Strategy<Value = Timestamp> {
    (any::<i64>(), 0..1_000_000_000u32).prop_map(|(seconds, nanos)| Timestamp::new(seconds, nanos))
}

fn shapes() -> impl Strategy<Value = Shape> {
    prop_oneof![
        Just(Shape::Unit),
        any::<i64>().prop_map(Shape::Newtype),
        (any::<u8>(), vec(any::<u16>(), 0..20)).prop_map(|(a, b)| Shape::Tuple(a, b)),
        (texts(), any::<Option<bool>>()).prop_map(|(a, b)| Shape::Struct { a, b }),
    ]
}

prop_compose! {
    fn everything()(
        signed in any::<(i8, i16, i32, i64)>(),
        unsigned in any::<(u8, u16, u32, u64)>(),
        floats in any::<(f32, f64)>(),
        text in texts(),
        (letter, flag, maybe) in any::<(char, bool, Option<u32>)>(),
        map in btree_map(any::<i32>(), texts(), 0..20),
        list in vec(shapes(), 0..20),
    ) -> Everything {
        Everything { signed, unsigned, floats, text, letter, flag, maybe, map, list }
    }
}

fn values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Nil),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f32>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        texts().prop_map(Value::from),
        vec(any::<u8>(), 0..40).prop_map(Value::from),
        (any::<i8>(), vec(any::<u8>(), 0..20)).prop_map(|(kind, bytes)| Value::Ext(kind, bytes)),
    ];
    leaf.prop_recursive(6, 60, 20, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..20).prop_map(Value::Array),
            vec((inner.clone(), inner), 0..20).prop_map(Value::Map),
        ]
    })
}

/// Comes back whole, leaves what stands behind it, and its beginnings are no values.
fn round_trip<M: Message + PartialEq + Debug>(value: &M) -> Result<(), TestCaseError> {
    let mut payload = grid_typed::encode(value).expect("encodes");
    for end in (0..payload.len()).step_by(1 + payload.len() / 64) {
        prop_assert!(
            M::decode(&mut &payload[..end]).is_err(),
            "{} of {} bytes",
            end,
            payload.len()
        );
    }
    payload.extend(b"behind");
    let mut rest = &payload[..];
    prop_assert_eq!(&M::decode(&mut rest).expect("decodes"), value);
    prop_assert_eq!(rest, b"behind");
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 64,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn helper_types(
        (map, raw, values) in (string_maps(), bytes(), url_values()),
        (maps, lists) in (arrays(string_maps()), arrays(bytes())),
        (json, time) in (jsons(), times()),
    ) {
        round_trip(&map)?;
        round_trip(&raw)?;
        round_trip(&values)?;
        round_trip(&maps)?;
        round_trip(&lists)?;
        round_trip(&json)?;
        round_trip(&time)?;
    }

    #[test]
    fn structs(value in everything()) {
        round_trip(&value)?;
    }

    #[test]
    fn any_values(value in values()) {
        round_trip(&value)?;
        let payload = grid_typed::encode(&value).expect("encodes");
        let mut rest = &payload[..];
        prop_assert_eq!(rmpv::decode::read_value(&mut rest).expect("is msgpack"), value);
        prop_assert!(rest.is_empty());
    }

    #[test]
    fn another_implementation_agrees(value in everything()) {
        let ours = msgpack::to_vec(&value).expect("encodes");
        let theirs = rmp_serde::to_vec_named(&value).expect("encodes");
        prop_assert_eq!(&rmp_serde::from_slice::<Everything>(&ours).expect("decodes"), &value);
        prop_assert_eq!(&msgpack::from_slice::<Everything>(&theirs).expect("decodes"), &value);
    }

    #[cfg(feature = "__fuzzing")]
    #[test]
    fn damaged_payloads(
        value in values(),
        other in everything(),
        damage in vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        for payload in [grid_typed::encode(&value), grid_typed::encode(&other)] {
            let mut payload = payload.expect("encodes");
            for (at, byte) in &damage {
                let at = at.index(payload.len());
                payload[at] = *byte;
            }
            grid_typed::fuzzing::typed_values(&payload);
        }
    }

    #[cfg(feature = "__fuzzing")]
    #[test]
    fn any_bytes(payload in vec(any::<u8>(), 0..200)) {
        grid_typed::fuzzing::typed_values(&payload);
    }
}
