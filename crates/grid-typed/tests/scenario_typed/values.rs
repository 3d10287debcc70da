//! Values of every kind, both ways (C21).

use std::collections::{BTreeMap, HashMap};
use std::fmt::Debug;

use grid_typed::{
    Array, Bytes, Capacity, HandlerId, ManagerBuilderExt as _, Message, NoPayload, Single,
    Streaming, StringMap, Timestamp, TypedStreamCall, UrlValues,
};
use serde::{Deserialize, Serialize};

use crate::common::{LONG, soon};
use crate::nodes::Nodes;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Everything {
    signed: (i8, i16, i32, i64),
    unsigned: (u8, u16, u32, u64),
    floats: (f32, f64),
    letter: char,
    text: String,
    flag: bool,
    unit: (),
    maybe: Option<u32>,
    nested: Option<Box<Self>>,
    fixed: [u8; 3],
    list: Vec<Shape>,
    map: BTreeMap<i32, String>,
    times: HashMap<String, Timestamp>,
    #[serde(with = "serde_bytes")]
    data: Vec<u8>,
    strings: StringMap,
    values: UrlValues,
    array: Array<Bytes>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Shape {
    Unit,
    Newtype(i64),
    Tuple(u8, Vec<u16>),
    Struct { a: String, b: Option<bool> },
}

fn least() -> Everything {
    Everything {
        signed: (i8::MIN, i16::MIN, i32::MIN, i64::MIN),
        unsigned: (0, 0, 0, 0),
        floats: (f32::MIN, f64::MIN_POSITIVE),
        letter: '\0',
        text: String::new(),
        flag: false,
        unit: (),
        maybe: None,
        nested: None,
        fixed: [0; 3],
        list: Vec::new(),
        map: BTreeMap::new(),
        times: HashMap::new(),
        data: Vec::new(),
        strings: StringMap::nil(),
        values: UrlValues::new(),
        array: Array::nil(),
    }
}

fn most() -> Everything {
    let shapes = [
        Shape::Unit,
        Shape::Newtype(-1),
        Shape::Tuple(255, vec![0, 256, u16::MAX]),
        Shape::Struct {
            a: "é…\u{1f4be}".into(),
            b: Some(true),
        },
    ];
    Everything {
        signed: (i8::MAX, i16::MAX, i32::MAX, i64::MAX),
        unsigned: (u8::MAX, u16::MAX, u32::MAX, u64::MAX),
        floats: (f32::MAX, f64::NEG_INFINITY),
        letter: '\u{10ffff}',
        text: "x".repeat(70_000),
        flag: true,
        unit: (),
        maybe: Some(u32::MAX),
        nested: Some(Box::new(least())),
        fixed: [1, 2, 255],
        list: shapes.iter().cycle().take(40).cloned().collect(),
        map: (-20..20).map(|key| (key, key.to_string())).collect(),
        times: HashMap::from([
            ("zero".into(), Timestamp::ZERO),
            ("then".into(), Timestamp::new(1_700_000_000, 999_999_999)),
            ("before".into(), Timestamp::new(-1, 1)),
        ]),
        data: (0..=255).cycle().take(70_000).collect(),
        strings: StringMap::from([("a", "b"), ("", "é")]),
        values: [("a", "1"), ("a", "2"), ("b", "")].into_iter().collect(),
        array: Array::from(vec![Bytes::from("data"), Bytes::nil(), Bytes::new()]),
    }
}

/// Sends values as requests and answers, as initial payloads, and as items both ways.
async fn everywhere<T>(values: Vec<T>)
where
    T: Message + PartialEq + Debug + Clone + Send + Sync + 'static,
{
    let single: Single<T, T> = Single::new(HandlerId::new(230));
    let stream: Streaming<T, T, T> = Streaming::new(HandlerId::new(231), Capacity::new(2, 2));
    let echo = |init: T, mut call: TypedStreamCall<T, T>| async move {
        call.send(&init).await?;
        while let Some(item) = call.recv().await {
            call.send(&item?).await?;
        }
        Ok(())
    };
    let nodes = Nodes::tcp(|node| {
        node.typed(&single, |value, _| async move { Ok(value) })
            .typed_stream(&stream, echo)
    })
    .await;
    for peer in nodes.both() {
        for value in &values {
            let answer = single.call(&peer, value).timeout(LONG).await.unwrap();
            assert_eq!(&answer, value);
            let mut echoed = stream.open(&peer, value).timeout(LONG).await.unwrap();
            assert_eq!(&soon(echoed.recv()).await.unwrap().unwrap(), value);
            for item in &values {
                soon(echoed.send(item)).await.unwrap();
                assert_eq!(&soon(echoed.recv()).await.unwrap().unwrap(), item);
            }
            echoed.finish();
            assert!(soon(echoed.recv()).await.is_none());
        }
    }
    nodes.well().await;
}

#[tokio::test]
async fn c21_values_of_every_kind_go_both_ways() {
    everywhere(vec![least(), most()]).await;
    everywhere(vec![NoPayload]).await;
    everywhere(vec![()]).await;
    everywhere(vec![Some(0_u64), None, Some(u64::MAX)]).await;
    everywhere(vec![vec![String::new(), "x".repeat(300)], vec![]]).await;
}

#[tokio::test]
async fn c21_the_references_helpers_go_both_ways() {
    let map = StringMap::from([("a", "b"), ("", "é")]);
    everywhere(vec![map.clone(), StringMap::new(), StringMap::nil()]).await;
    everywhere(vec![
        Bytes::from(vec![0xff; 1 << 20]),
        Bytes::new(),
        Bytes::nil(),
    ])
    .await;
    let values = [("a", "1"), ("a", "2"), ("b", "")].into_iter().collect();
    everywhere(vec![values, UrlValues::new()]).await;
    everywhere(vec![
        Array::from(vec![map, StringMap::nil()]),
        Array::new(),
        Array::nil(),
    ])
    .await;
    everywhere(vec![Timestamp::ZERO, Timestamp::new(1_700_000_000, 5)]).await;
}

#[cfg(all(feature = "json", feature = "value"))]
#[tokio::test]
async fn c21_json_and_values_without_a_shape_go_both_ways() {
    use grid_typed::{Json, Value};

    let map = BTreeMap::from([("<é>".to_owned(), vec![i64::MIN, 0, i64::MAX])]);
    everywhere(vec![
        Json::new(map),
        Json::new(BTreeMap::new()),
        Json::nil(),
    ])
    .await;
    everywhere(vec![
        Value::Nil,
        Value::from(-1.5),
        Value::Ext(7, vec![1, 2, 3]),
        Value::Map(vec![(
            Value::from("key"),
            Value::Array(vec![Value::from(u64::MAX), Value::from(vec![0xff_u8])]),
        )]),
    ])
    .await;
}
