//! Bodies of the fuzz targets, for the fuzz workspace and for the test that replays the seeds.

use std::collections::BTreeMap;

pub use grid_proto::fuzzing::kept;
use serde::{Deserialize, Serialize};

use crate::{Array, Bytes, Json, Message, NoPayload, StringMap, Timestamp, UrlValues, Value};

/// All kinds that serde knows, and a type that holds itself.
#[derive(Debug, Serialize, Deserialize)]
#[serde(default)]
struct Everything {
    signed: i64,
    small: i8,
    unsigned: u64,
    float: f64,
    single: f32,
    text: String,
    letter: char,
    flag: bool,
    nothing: (),
    pair: (u8, StringMap),
    #[serde(with = "serde_bytes")]
    raw: Vec<u8>,
    #[serde(with = "serde_bytes")]
    id: [u8; 16],
    time: Timestamp,
    maybe: Option<Box<Self>>,
    children: Vec<Self>,
    numbers: BTreeMap<i32, Shape>,
    shapes: BTreeMap<Shape, Array<Bytes>>,
    untagged: Untagged,
    #[serde(flatten)]
    rest: BTreeMap<String, Value>,
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
enum Shape {
    Unit,
    Newtype(Box<Option<Self>>),
    Tuple(u8, i16),
    Struct { a: u32, b: Vec<Self> },
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(untagged)]
enum Untagged {
    Time(Timestamp),
    Number(i64),
    Json(Json<BTreeMap<String, Vec<i32>>>),
}

impl Default for Everything {
    fn default() -> Self {
        Self {
            signed: 0,
            small: 0,
            unsigned: 0,
            float: 0.0,
            single: 0.0,
            text: String::new(),
            letter: '\0',
            flag: false,
            nothing: (),
            pair: (0, StringMap::nil()),
            raw: Vec::new(),
            id: [0; 16],
            time: Timestamp::ZERO,
            maybe: None,
            children: Vec::new(),
            numbers: BTreeMap::new(),
            shapes: BTreeMap::new(),
            untagged: Untagged::Number(0),
            rest: BTreeMap::new(),
        }
    }
}

/// Reads `data` as every helper type, as any value and as structs, and gives the number of types
/// that took it. What can be read must be writable, and what is written must be read to its last
/// byte and written the same again.
///
/// # Panics
///
/// When it is not so.
pub fn typed_values(data: &[u8]) -> usize {
    let round_trips = [
        round_trip::<StringMap>,
        round_trip::<Bytes>,
        round_trip::<UrlValues>,
        round_trip::<Array<StringMap>>,
        round_trip::<Array<Bytes>>,
        round_trip::<Array<Array<Array<Timestamp>>>>,
        round_trip::<Json<BTreeMap<String, String>>>,
        round_trip::<Timestamp>,
        round_trip::<Shape>,
        round_trip::<Everything>,
        round_trip::<Value>,
        round_trip::<NoPayload>,
    ];
    round_trips
        .iter()
        .filter(|round_trip| round_trip(data))
        .count()
}

fn round_trip<M: Message>(data: &[u8]) -> bool {
    let mut rest = data;
    let Ok(value) = M::decode(&mut rest) else {
        assert_eq!(rest, data, "a failed read took bytes");
        return false;
    };
    assert!(
        data.ends_with(rest),
        "the rest is not what follows the value"
    );
    let written = crate::encode(&value).expect("what was read can be written");
    let mut rest = &written[..];
    let again = M::decode(&mut rest).expect("what was written can be read");
    assert!(
        rest.is_empty(),
        "{} bytes too many were written",
        rest.len()
    );
    let again = crate::encode(&again).expect("what was read can be written");
    assert_eq!(written, again);
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_has_everything() {
        let seed = include_bytes!("../fuzz-seeds/typed_values/everything");
        crate::decode::<Everything>(seed).expect("it is read");
        assert_eq!(
            typed_values(seed),
            3,
            "as everything, any value and no payload"
        );
    }
}
