//! The rules of `grid_typed::msgpack`, one by one.

use std::collections::BTreeMap;

use grid_typed::{DecodeError, StringMap, Timestamp, msgpack};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

fn hex_of<T: Serialize>(value: &T) -> String {
    hex::encode(msgpack::to_vec(value).expect("encodes"))
}

fn read<T: DeserializeOwned>(hex: &str) -> Result<T, DecodeError> {
    msgpack::from_slice(&hex::decode(hex).expect("hex"))
}

fn error<T: DeserializeOwned>(hex: &str) -> String {
    read::<T>(hex).err().expect("refused").to_string()
}

#[test]
fn integers_keep_their_sign_and_take_the_shortest_form() {
    let signed: [(i64, &str); 11] = [
        (0, "00"),
        (127, "7f"),
        (128, "d10080"),
        (32_767, "d17fff"),
        (32_768, "d200008000"),
        (i64::from(i32::MAX) + 1, "d30000000080000000"),
        (-1, "ff"),
        (-32, "e0"),
        (-33, "d0df"),
        (-129, "d1ff7f"),
        (i64::MIN, "d38000000000000000"),
    ];
    for (value, expected) in signed {
        assert_eq!(hex_of(&value), expected);
        assert_eq!(read::<i64>(expected).ok(), Some(value));
    }
    let unsigned: [(u64, &str); 7] = [
        (127, "7f"),
        (128, "cc80"),
        (255, "ccff"),
        (256, "cd0100"),
        (65_536, "ce00010000"),
        (u64::from(u32::MAX) + 1, "cf0000000100000000"),
        (u64::MAX, "cfffffffffffffffff"),
    ];
    for (value, expected) in unsigned {
        assert_eq!(hex_of(&value), expected);
        assert_eq!(read::<u64>(expected).ok(), Some(value));
    }
    assert_eq!(
        (hex_of(&200i16), hex_of(&200u8), hex_of(&-5i8)),
        ("d100c8".into(), "ccc8".into(), "fb".into())
    );
    for any_form in [
        "05",
        "cc05",
        "cd0005",
        "ce00000005",
        "cf0000000000000005",
        "d005",
        "d10005",
        "d30000000000000005",
    ] {
        assert_eq!(
            (read::<u8>(any_form).ok(), read::<i64>(any_form).ok()),
            (Some(5), Some(5)),
            "{any_form}"
        );
    }
    assert_eq!(
        error::<u8>("cd0100"),
        "unsuitable value, an integer, expected u8 at byte 3"
    );
    assert_eq!(
        error::<u64>("ff"),
        "unsuitable value, an integer, expected u64 at byte 1"
    );
    assert_eq!(
        error::<i64>("cfffffffffffffffff"),
        "unsuitable value, an integer, expected i64 at byte 9"
    );
}

#[test]
fn other_scalars() {
    assert_eq!(hex_of(&1.5f32), "ca3fc00000");
    assert_eq!(hex_of(&1.5f64), "cb3ff8000000000000");
    assert_eq!(read::<f64>("ca3fc00000").ok(), Some(1.5));
    assert_eq!(
        hex_of(&(true, false, 'é', Some(()), None::<u8>)),
        "95c3c2a2c3a9c0c0"
    );
    assert_eq!(
        read::<(bool, char, Option<u8>, ())>("94c3a2c3a9c0c0").ok(),
        Some((true, 'é', None, ()))
    );
    msgpack::to_vec(&1u128).expect_err("no such form");
}

#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
struct Sample {
    a: u8,
    #[serde(default)]
    b: String,
    #[serde(default, with = "serde_bytes")]
    c: Vec<u8>,
}

#[test]
fn structs_are_maps_by_name() {
    let sample = Sample {
        a: 1,
        b: "x".into(),
        c: vec![2],
    };
    assert_eq!(hex_of(&sample), "83a16101a162a178a163c40102");
    assert_eq!(
        read("83a163c40102a162a178a16101").ok(),
        Some(sample),
        "in any order"
    );
    assert_eq!(
        read("81a16101").ok(),
        Some(Sample {
            a: 1,
            ..Sample::default()
        }),
        "with defaults"
    );
    let without_b = Sample {
        a: 1,
        c: vec![2],
        ..Sample::default()
    };
    for text in [
        "82a16101a163c40102",
        "82d9016101a163c40102",
        "83a16101a27a7a01a163c40102",
    ] {
        assert_eq!(read(text).as_ref().ok(), Some(&without_b), "{text}");
    }
    assert_eq!(
        error::<Sample>("82a16101a2"),
        "the value is cut short at byte 5"
    );
    let with_unknown_fields = "82a16101a17a9281a16101c7010102";
    assert_eq!(
        read::<Sample>(with_unknown_fields).ok(),
        read("81a16101").ok()
    );
    assert_eq!(
        read::<Sample>("82c4016101a2fffe05").ok(),
        read("81a16101").ok(),
        "bin as key, unknown key not UTF-8"
    );
    assert_eq!(error::<Sample>("80"), "missing field `a` at byte 1");
    assert_eq!(
        error::<Sample>("82a16101a16102"),
        "duplicate field `a` at byte 6"
    );
    assert_eq!(
        error::<Sample>("9101"),
        "found an array, expected struct Sample at byte 1"
    );
    assert_eq!(
        error::<Sample>("c0"),
        "found nil, expected struct Sample at byte 1"
    );
    assert_eq!(
        error::<Sample>("8100c0"),
        "found an integer, expected field identifier at byte 2"
    );
}

#[test]
fn kinds_do_not_stand_in_for_each_other() {
    assert_eq!(
        error::<String>("c40161"),
        "found bytes, expected a string at byte 2"
    );
    assert_eq!(
        error::<String>("c0"),
        "found nil, expected a string at byte 1"
    );
    assert_eq!(
        error::<String>("a2fffe"),
        "unsuitable value, bytes, expected a string at byte 3"
    );
    assert_eq!(
        error::<serde_bytes::ByteBuf>("a161"),
        "found a string, expected byte array at byte 1"
    );
    assert_eq!(
        error::<serde_bytes::ByteBuf>("9101"),
        "found an array, expected byte array at byte 1"
    );
    assert_eq!(
        error::<Vec<u8>>("c40161"),
        "found bytes, expected a sequence at byte 2"
    );
    assert_eq!(
        error::<bool>("01"),
        "found an integer, expected a boolean at byte 1"
    );
    assert_eq!(
        error::<u8>("a6736563726574"),
        "found a string, expected u8 at byte 7"
    );
    assert_eq!(
        error::<(u8, u8)>("93010203"),
        "found 1 elements too many at byte 3"
    );
    assert_eq!(
        error::<(u8, u8)>("9101"),
        "invalid length 1, expected a tuple of size 2 at byte 2"
    );
    assert_eq!(
        error::<BTreeMap<String, String>>("81a161c40162"),
        "found bytes, expected a string at byte 5"
    );
}

#[test]
fn in_maps_the_last_of_equal_keys_wins() {
    assert_eq!(
        read("82a16101a16102").ok(),
        Some(BTreeMap::from([("a".to_owned(), 2)]))
    );
    assert_eq!(
        read("81c4016102").ok(),
        Some(BTreeMap::from([("a".to_owned(), 2)])),
        "bin as key"
    );
    assert_eq!(
        read("8107a178").ok(),
        Some(BTreeMap::from([(7, "x".to_owned())])),
        "numbers as keys"
    );
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
enum Shape {
    Unit,
    Newtype(u8),
    Tuple(u8, u8),
    Struct { x: i32 },
    Nested(Box<Self>),
}

#[test]
fn enums_are_named() {
    let cases = [
        (Shape::Unit, "a4556e6974"),
        (Shape::Newtype(1), "81a74e65777479706501"),
        (Shape::Tuple(1, 2), "81a55475706c65920102"),
        (Shape::Struct { x: -1 }, "81a653747275637481a178ff"),
        (
            Shape::Nested(Box::new(Shape::Unit)),
            "81a64e6573746564a4556e6974",
        ),
    ];
    for (value, expected) in cases {
        assert_eq!(hex_of(&value), expected);
        assert_eq!(read(expected).ok(), Some(value));
    }
    assert_eq!(read("81a4556e6974c0").ok(), Some(Shape::Unit));
    assert_eq!(
        read("81c404556e697402").ok(),
        Some(BTreeMap::from([(Shape::Unit, 2)])),
        "a key as bin"
    );
    for wrong in [
        "a3466f6f",
        "82a4556e6974c0a4556e6974c0",
        "80",
        "81a4556e697401",
        "a74e657774797065",
        "c404556e6974",
        "a2fffe",
        "01",
    ] {
        read::<Shape>(wrong).expect_err(wrong);
    }
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Flattened {
    first: u8,
    #[serde(flatten)]
    rest: Rest,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Rest {
    time: Timestamp,
    map: StringMap,
    #[serde(with = "serde_bytes")]
    raw: Vec<u8>,
}

#[test]
fn times_bytes_and_maps_survive_flattening() {
    let value = Flattened {
        first: 1,
        rest: Rest {
            time: Timestamp::new(1, 2),
            map: StringMap::nil(),
            raw: vec![7],
        },
    };
    let bytes = msgpack::to_vec(&value).expect("encodes");
    assert_eq!(bytes[..9], *b"\x84\xa5first\x01\xa4");
    assert_eq!(msgpack::from_slice::<Flattened>(&bytes).ok(), Some(value));
}

#[test]
fn only_a_key_itself_may_be_bin() {
    type ByPair = BTreeMap<(String, u8), u8>;
    read::<ByPair>("8192a1610102").expect("a str in a key");
    let inside = error::<ByPair>("8192c401610102");
    assert_eq!(inside, "found bytes, expected a string at byte 4");
    type ByOption = BTreeMap<Option<String>, String>;
    read::<ByOption>("81c40162a161").expect("a bin as key");
    let behind = error::<ByOption>("81c0c40161");
    assert_eq!(behind, "found bytes, expected a string at byte 4");
}
