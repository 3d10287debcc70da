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
    One(String),
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

/// Two versions of a message, of which the older has a `str` where this is another type.
#[derive(Deserialize)]
#[allow(dead_code, reason = "only its shape counts")]
enum Verdict<T> {
    Taken,
    Held { by: T, since: u64 },
}

#[derive(Deserialize)]
#[allow(dead_code, reason = "only its shape counts")]
enum Outer<T> {
    Plain(u8),
    Inner(Verdict<T>),
    Both(Verdict<T>, Option<Verdict<u8>>),
}

/// Each in the other, and neither ends by its first variant.
#[derive(Deserialize)]
#[allow(dead_code, reason = "only its shape counts")]
enum Statement {
    Block(Box<Expression>, Vec<Self>),
    Empty,
}

#[derive(Deserialize)]
#[allow(dead_code, reason = "only its shape counts")]
enum Expression {
    Run(Box<Statement>),
    Sum { left: Box<Self>, right: Box<Self> },
    Number(i64),
}

/// Has no value that ends.
#[derive(Deserialize)]
#[allow(dead_code, reason = "only its shape counts")]
enum Never {
    Again(Box<Self>),
    More { below: Box<Self> },
}

#[derive(Deserialize)]
#[allow(dead_code, reason = "only its shape counts")]
struct Wrapped(Box<Self>);

#[derive(Deserialize)]
#[allow(dead_code, reason = "only its shape counts")]
struct Forest(Vec<Self>);

#[derive(Deserialize)]
#[serde(tag = "kind", content = "of")]
#[allow(dead_code, reason = "only its shape counts")]
enum Tagged<T> {
    Number(u8),
    Text(T),
}

/// One that holds itself where nothing tells that it does: its tag is over when its content begins.
#[derive(Deserialize)]
#[serde(tag = "kind", content = "of")]
#[allow(dead_code, reason = "only its shape counts")]
enum TaggedTree {
    Both(Box<Self>, Box<Self>),
    Leaf,
}

#[derive(Deserialize)]
#[allow(dead_code, reason = "only its shape counts")]
enum Paint {
    Named(Colour),
    Mixed { red: u8, name: Colour },
    Thick(u16),
}

/// Takes one of what it reads.
#[derive(Deserialize)]
#[serde(try_from = "Kind")]
struct OnlyOne;

impl TryFrom<Kind> for OnlyOne {
    type Error = &'static str;

    fn try_from(kind: Kind) -> Result<Self, Self::Error> {
        match kind {
            Kind::One(_) => Ok(Self),
            _ => Err("not the one"),
        }
    }
}

/// One that is too much soon, where it is inside itself.
macro_rules! many {
    ($name:ident: $($variant:ident)*) => {
        #[derive(Deserialize)]
        #[allow(dead_code, reason = "only its shape counts")]
        enum $name<T> { $($variant(T),)* }
    };
}

many!(Many: A B C D E F G H I J K L M N O P Q R S T U V W X Y Z);

fn of<T: DeserializeOwned>() -> String {
    Shape::of::<T>().to_string()
}

#[test]
fn shapes_are_those_on_the_wire() {
    assert_eq!(
        of::<Kind>(),
        "enum(Point: {x: f32, y: f64} | Pair: (i8, i16) | One: str | Nothing)"
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
fn the_payload_of_every_variant_counts() {
    let shape = of::<Verdict<String>>();
    assert_eq!(shape, "enum(Taken | Held: {by: str, since: u64})");
    let changed = of::<Verdict<u64>>();
    assert_eq!(changed, "enum(Taken | Held: {by: u64, since: u64})");
    // Inside another's second variant, and beside another; and each by itself, whatever stands beside it.
    let inner = of::<Outer<String>>();
    assert_eq!(
        inner,
        format!(
            "enum(Plain: u8 | Inner: {shape} | Both: ({shape}, ?{}))",
            of::<Verdict<u8>>()
        )
    );
    assert_ne!(inner, of::<Outer<u64>>());
    assert_eq!(
        of::<(Kind, Verdict<u8>, Vec<Kind>)>(),
        format!("({0}, {1}, [{0}])", of::<Kind>(), of::<Verdict<u8>>())
    );
}

#[test]
fn kinds_of_variants_are_told_apart() {
    #[derive(Deserialize)]
    #[allow(dead_code, reason = "only its shape counts")]
    enum Kinds {
        Unit,
        Newtype(u8),
        Tuple(u8, u8),
        Struct { x: u8 },
        Nil(()),
        EmptyTuple(),
        EmptyStruct {},
    }
    assert_eq!(
        of::<Kinds>(),
        "enum(Unit | Newtype: u8 | Tuple: (u8, u8) | Struct: {x: u8} | Nil: nil | EmptyTuple: () | EmptyStruct: {})"
    );
}

#[test]
fn what_is_behind_a_tag_is_seen_for_each() {
    assert_eq!(
        of::<Tagged<String>>(),
        "{kind: enum(Number | Text), of: u8 / str}"
    );
    assert_ne!(of::<Tagged<String>>(), of::<Tagged<bool>>());
}

#[test]
fn what_has_no_end_ends() {
    assert_eq!(of::<Tree>(), "{name: str, below: [^], beside: ?^}");
    assert_eq!(
        of::<Crowd>(),
        "{a: [^], b: [^], c: [^], d: [^], e: [^], f: [^], g: [^], h: [^], i: [^], j: [^]}"
    );
    assert_eq!(of::<Term>(), "enum(Both: (^, ^) | Name: str)");
    assert_eq!(of::<Forest>(), "[^]");
    assert_eq!(
        of::<Expression>(),
        "enum(Run: enum(Block: (^^, [^]) | Empty) | Sum: {left: ^, right: ^} | Number: i64)"
    );
    assert_eq!(
        of::<Statement>(),
        "enum(Block: (enum(Run: ^^ | Sum: {left: ^, right: ^} | Number: i64), [^]) | Empty)"
    );
    for shape in [of::<Never>(), of::<Wrapped>()] {
        assert!(shape.starts_with("opaque "), "{shape}");
    }
    let tagged = of::<TaggedTree>();
    assert!(tagged.starts_with("{kind: enum(Both | Leaf), "), "{tagged}");
    assert!(tagged.len() < 1 << 10, "{}", tagged.len());
}

/// However many enums stand inside each other: what is beyond that is said to be left out.
#[test]
fn what_is_too_much_is_left_out() {
    let shape = of::<Many<Many<bool>>>();
    assert_eq!(shape.matches("bool").count(), 26 * 26);
    assert!(!shape.contains("..."), "{shape}");
    let shape = of::<Many<Many<Many<Vec<Many<Kind>>>>>>();
    assert!(shape.contains("..."), "{shape}");
    assert!(shape.len() < 1 << 18, "{}", shape.len());
    assert_eq!(shape, of::<Many<Many<Many<Vec<Many<Kind>>>>>>());
}

#[test]
fn what_refuses_is_known_by_its_name() {
    assert!(of::<Colour>().starts_with("opaque "));
    assert!(of::<Colour>().ends_with("tests::Colour"));
    assert!(of::<Vec<Colour>>().starts_with("opaque alloc::vec::Vec<"));
    // Of an enum the others are seen all the same, where it is first, and where it is not all of a variant.
    assert_eq!(
        of::<Paint>(),
        "enum(Named: opaque | Mixed: opaque | Thick: u16)"
    );
    // What takes one variant alone is read as a whole.
    assert_eq!(
        of::<(OnlyOne, OnlyOne, Verdict<u8>)>(),
        format!("({0}, {0}, {1})", of::<Kind>(), of::<Verdict<u8>>())
    );
}
