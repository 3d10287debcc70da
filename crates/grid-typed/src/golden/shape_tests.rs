//! What types look like.

use std::collections::BTreeMap;

use serde::{
    Deserialize,
    de::{self, DeserializeOwned, Deserializer},
};

use super::{Shape, shape};
use crate::{Array, Bytes, NoPayload, StringMap, Timestamp};

#[derive(Deserialize)]
#[allow(dead_code, reason = "only its shape counts")]
struct Tree {
    name: String,
    below: Vec<Self>,
    beside: Option<Box<Self>>,
}

#[derive(Deserialize)]
#[allow(dead_code, reason = "only its shape counts")]
struct Crowd {
    a: Vec<Self>,
    b: Vec<Self>,
    c: Vec<Self>,
    d: Vec<Self>,
    e: Vec<Self>,
    f: Vec<Self>,
    g: Vec<Self>,
    h: Vec<Self>,
    i: Vec<Self>,
    j: Vec<Self>,
}

#[derive(Deserialize)]
#[allow(dead_code, reason = "only its shape counts")]
enum Term {
    Both(Box<Self>, Box<Self>),
    Name(String),
}

#[derive(Deserialize)]
#[allow(dead_code, reason = "only its shape counts")]
enum Kind {
    Point { x: f32, y: f64 },
    Pair(i8, i16),
    Nothing,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(dead_code, reason = "only its shape counts")]
struct Names {
    one_name: (bool, char),
    #[serde(rename = "o")]
    other: BTreeMap<String, Vec<u16>>,
    #[serde(skip)]
    unseen: u8,
    unit: (),
}

/// Takes nothing that is not a name of a colour.
#[derive(Debug)]
struct Colour;

impl<'de> Deserialize<'de> for Colour {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match String::deserialize(deserializer)?.as_str() {
            "red" => Ok(Self),
            _ => Err(de::Error::custom("no colour")),
        }
    }
}

fn of<T: DeserializeOwned>() -> String {
    Shape::of::<T>().to_string()
}

#[test]
fn shapes_are_those_on_the_wire() {
    assert_eq!(
        of::<Kind>(),
        "enum(Point: {x: f32, y: f64} | Pair | Nothing)"
    );
    assert_eq!(
        of::<Names>(),
        "{oneName: (bool, char), o: map<str: [u16]>, unit: nil}"
    );
    assert_eq!(of::<(u64, Option<i32>, [u8; 2])>(), "(u64, ?i32, (u8, u8))");
    assert_eq!(of::<Timestamp>(), "ext");
    assert_eq!(of::<Bytes>(), "?bin");
    assert_eq!(of::<StringMap>(), "?map<str: str>");
    assert_eq!(of::<Array<u8>>(), "?[u8]");
    assert_eq!(shape::<NoPayload>().to_string(), "nothing");
}

#[test]
fn what_has_no_end_ends() {
    let tree = of::<Tree>();
    assert!(
        tree.starts_with("{name: str, below: [{name: str, "),
        "{tree}"
    );
    assert!(tree.len() < 1 << 20, "{}", tree.len());
    let crowd = of::<Crowd>();
    assert!(crowd.starts_with("{a: [{a: [{"), "{crowd}");
    assert!(crowd.len() < 1 << 20, "{}", crowd.len());
    // Nothing between it and itself can be left empty.
    assert!(of::<Term>().starts_with("opaque "));
}

#[test]
fn what_refuses_is_known_by_its_name() {
    assert!(of::<Colour>().starts_with("opaque "));
    assert!(of::<Colour>().ends_with("tests::Colour"));
    assert!(of::<Vec<Colour>>().starts_with("opaque alloc::vec::Vec<"));
}
