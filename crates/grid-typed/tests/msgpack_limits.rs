//! Lengths, depth and failures of `grid_typed::msgpack`.

use std::collections::BTreeMap;

use grid_typed::{DecodeError, EncodeError, Message, msgpack};
use serde::de::IgnoredAny;
use serde::ser::{SerializeMap, SerializeSeq};
use serde::{Deserialize, Serialize, Serializer};

#[derive(Debug, PartialEq, Serialize, Deserialize)]
enum Shape {
    Unit,
    Nested(Box<Self>),
    Tuple(u8, u8),
    Struct { x: u8 },
}

/// Says a wrong length, or none, before it writes its elements.
struct Claims(Option<usize>, usize);

impl Serialize for Claims {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut seq = serializer.serialize_seq(self.0)?;
        for index in 0..self.1 {
            seq.serialize_element(&index)?;
        }
        seq.end()
    }
}

struct UnknownMap(usize);

impl Serialize for UnknownMap {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for index in 0..self.0 {
            map.serialize_entry(&index, &Claims(None, 2))?;
        }
        map.end()
    }
}

#[test]
fn lengths_are_those_of_what_was_written() {
    for (claimed, len) in [
        (None, 0),
        (None, 3),
        (None, 70_000),
        (Some(9), 3),
        (Some(20), 3),
        (Some(3), 20),
    ] {
        let bytes = msgpack::to_vec(&(Claims(claimed, len), "after")).expect("encodes");
        let read: (Vec<usize>, String) = msgpack::from_slice(&bytes).expect("decodes");
        assert_eq!(read, ((0..len).collect(), "after".to_owned()));
    }
    let bytes = msgpack::to_vec(&UnknownMap(20)).expect("encodes");
    let read: BTreeMap<usize, Vec<u8>> = msgpack::from_slice(&bytes).expect("decodes");
    assert_eq!(read, (0..20).map(|index| (index, vec![0, 1])).collect());
}

/// As many arrays inside each other as are asked for.
struct Nested(usize);

impl Serialize for Nested {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            0 => serializer.serialize_unit(),
            levels => [Self(levels - 1)].serialize(serializer),
        }
    }
}

#[derive(Debug, Deserialize)]
struct Tree(#[expect(dead_code, reason = "only its depth matters")] Vec<Self>);

fn nested(levels: usize) -> Vec<u8> {
    [vec![0x91; levels - 1], vec![0x90]].concat()
}

#[test]
fn depth_is_limited_both_ways() {
    let deepest = msgpack::MAX_DEPTH;
    let bytes = msgpack::to_vec(&Nested(deepest)).expect("as deep as allowed");
    assert_eq!(bytes.len(), deepest + 1);
    assert!(matches!(
        msgpack::to_vec(&Nested(deepest + 1)),
        Err(EncodeError::TooDeep)
    ));
    msgpack::from_slice::<Tree>(&nested(deepest)).expect("as deep as allowed");
    for levels in [deepest + 1, 1_000_000] {
        let error = msgpack::from_slice::<Tree>(&nested(levels)).expect_err("too deep");
        assert!(
            matches!(error, DecodeError::TooDeep { offset } if offset == deepest + 1),
            "{error}"
        );
    }
    msgpack::from_slice::<IgnoredAny>(&nested(1_000_000)).expect("skipped without depth");
    let variants = (0..deepest).fold(Shape::Unit, |inner, _| Shape::Nested(Box::new(inner)));
    let bytes = msgpack::to_vec(&variants).expect("as deep as allowed");
    assert_eq!(
        msgpack::from_slice::<Shape>(&bytes).ok().as_ref(),
        Some(&variants)
    );
    assert!(matches!(
        msgpack::to_vec(&Shape::Nested(Box::new(variants))),
        Err(EncodeError::TooDeep)
    ));
}

#[test]
fn only_what_is_open_counts_as_depth() {
    let row = || {
        let nested = Shape::Nested(Box::new(Shape::Unit));
        [
            Shape::Unit,
            nested,
            Shape::Tuple(1, 2),
            Shape::Struct { x: 1 },
        ]
    };
    let many: Vec<Shape> = (0..msgpack::MAX_DEPTH).flat_map(|_| row()).collect();
    let bytes = msgpack::to_vec(&many).expect("flat");
    assert_eq!(msgpack::from_slice::<Vec<Shape>>(&bytes).ok(), Some(many));
    assert!(matches!(
        msgpack::to_vec(&(Shape::Tuple(1, 2), Nested(msgpack::MAX_DEPTH))),
        Err(EncodeError::TooDeep)
    ));
    msgpack::to_vec(&(Shape::Tuple(1, 2), Nested(msgpack::MAX_DEPTH - 1))).expect("deep enough");
}

#[derive(Serialize)]
#[serde(rename = "_ExtStruct")]
struct Extension<T>(T);

/// An extension inside of as many arrays as are asked for.
struct DeepExtension(usize);

impl Serialize for DeepExtension {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            0 => Extension((9i8, serde_bytes::Bytes::new(&[7]))).serialize(serializer),
            levels => [Self(levels - 1)].serialize(serializer),
        }
    }
}

/// An extension in an extension in an extension, without end.
struct Endless;

impl Serialize for Endless {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_newtype_struct("_ExtStruct", self)
    }
}

#[test]
fn extensions_take_the_shortest_form() {
    let extension = |len: usize| {
        msgpack::to_vec(&Extension((9i8, serde_bytes::Bytes::new(&vec![0; len])))).expect("encodes")
    };
    let heads: [(usize, &[u8]); 6] = [
        (1, &[0xd4, 9]),
        (4, &[0xd6, 9]),
        (8, &[0xd7, 9]),
        (12, &[0xc7, 12, 9]),
        (16, &[0xd8, 9]),
        (300, &[0xc8, 1, 44, 9]),
    ];
    for (len, head) in heads {
        let bytes = extension(len);
        assert_eq!(
            (&bytes[..head.len()], bytes.len()),
            (head, head.len() + len)
        );
    }
    // However deep it stands: what can be read can be written.
    let deep = [vec![0x91; msgpack::MAX_DEPTH], vec![0xd4, 9, 7]].concat();
    msgpack::from_slice::<IgnoredAny>(&deep).expect("as deep as allowed");
    let deepest = DeepExtension(msgpack::MAX_DEPTH);
    assert_eq!(msgpack::to_vec(&deepest).expect("the same"), deep);
    let error = msgpack::to_vec(&Extension("text")).expect_err("no extension");
    assert_eq!(
        error.to_string(),
        "an extension that isn't a type and bytes"
    );
    assert!(matches!(
        msgpack::to_vec(&Endless),
        Err(EncodeError::TooDeep)
    ));
}

#[test]
fn a_failure_leaves_no_trace() {
    let mut out = vec![1, 2, 3];
    ("half".to_owned(), 1u128)
        .encode(&mut out)
        .expect_err("no such form");
    assert_eq!(out, [1, 2, 3]);

    let input = [0x92, 0x01];
    let mut rest = &input[..];
    <(u8, u8)>::decode(&mut rest).expect_err("truncated");
    assert_eq!(rest, input);
    rest = &[0x01, 0x02];
    assert_eq!((u8::decode(&mut rest).ok(), rest), (Some(1), &[2][..]));
}

#[test]
fn what_peers_send_does_not_show_in_errors() {
    let secret = msgpack::to_vec(&("secret", "secret".repeat(1000))).expect("encodes");
    let error = msgpack::from_slice::<(String, u8)>(&secret)
        .expect_err("refused")
        .to_string();
    assert_eq!(error, "found a string, expected u8 at byte 6011");
    let variant = msgpack::to_vec(&"x".repeat(10_000)).expect("encodes");
    let error = msgpack::from_slice::<Shape>(&variant)
        .expect_err("refused")
        .to_string();
    assert!(error.len() < 300, "{}", error.len());
}

#[test]
fn borrowed_data_is_not_copied() {
    let bytes = msgpack::to_vec(&("text", serde_bytes::Bytes::new(b"raw"))).expect("encodes");
    let (text, raw): (&str, &serde_bytes::Bytes) = msgpack::from_slice(&bytes).expect("decodes");
    assert_eq!((text, &raw[..]), ("text", &b"raw"[..]));
    assert!(bytes.as_ptr_range().contains(&text.as_ptr()));
}

#[test]
fn text_is_utf8_wherever_it_is_not() {
    for len in 0..40_usize {
        for before in 0..8 {
            // Texts stand at any place among other values.
            let mut bytes = vec![0xc0; before];
            let text: String = ('a'..='z').cycle().take(len).collect();
            bytes.extend(msgpack::to_vec(&text).expect("encodes"));
            let read = |bytes: &[u8]| msgpack::from_slice::<String>(&bytes[before..]);
            assert_eq!(read(&bytes).expect("text"), text);
            let begin = bytes.len() - len;
            for at in 0..len {
                for wrong in [0x80, 0xc3, 0xe2, 0xff] {
                    let mut other = bytes.clone();
                    other[begin + at] = wrong;
                    let error = read(&other).expect_err("not UTF-8").to_string();
                    let end = bytes.len() - before;
                    assert_eq!(
                        error,
                        format!("unsuitable value, bytes, expected a string at byte {end}")
                    );
                }
                if let Some(two) = bytes.get_mut(begin + at..begin + at + 2) {
                    let ascii = [two[0], two[1]];
                    two.copy_from_slice("é".as_bytes());
                    let expected = format!("{}é{}", &text[..at], &text[at + 2..]);
                    assert_eq!(read(&bytes).expect("text"), expected);
                    bytes[begin + at..begin + at + 2].copy_from_slice(&ascii);
                }
            }
        }
    }
}
