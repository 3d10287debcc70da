//! The reference's helper payloads as requests, answers, initial payloads and items; where the
//! bytes matter, the same handlers are asked with bytes.

#![cfg(all(feature = "json", feature = "value"))]

mod common;

use std::fmt::Debug;

use common::*;
use grid_transport::testing::{self, Pair};
use grid_transport::{Builder, CallError, Payload};
use grid_typed::{
    Array, Bytes, Capacity, Context, HandlerError, HandlerId, Json, ManagerBuilderExt as _,
    Message, NoPayload, Single, Streaming, StringMap, Timestamp, TypedStreamCall, UrlValues, Value,
};
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
struct Count {
    n: i64,
    s: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    list: Vec<String>,
}

/// The probe handlers, as every node of the recorded conversations has them.
static MAP: Single<StringMap, StringMap> = Single::new(HandlerId::new(41));
static JSON: Single<Json<Count>, Json<Count>> = Single::new(HandlerId::new(43));
static URL_VALUES: Single<UrlValues, UrlValues> = Single::new(HandlerId::new(44));
static BYTES: Single<Bytes, Bytes> = Single::new(HandlerId::new(45));
static ARRAY: Single<Array<StringMap>, Array<StringMap>> = Single::new(HandlerId::new(51));

async fn same<T>(value: T, _: Context) -> Result<T, HandlerError> {
    Ok(value)
}

fn probe(node: Builder) -> Builder {
    node.typed(&FENCE, same)
        .typed(&MAP, |mut map, _| async move {
            map.insert("reply", "ok");
            Ok(map)
        })
        .typed(&JSON, |count, _| async move {
            let count = count.into_inner().ok_or_else(|| HandlerError::new("nil"))?;
            Ok(Json::new(Count {
                n: count.n + 1,
                ..count
            }))
        })
        .typed(&URL_VALUES, same)
        .typed(&BYTES, same)
        .typed(&ARRAY, same)
}

#[tokio::test(start_paused = true)]
async fn probe_handlers_by_values() {
    let pair = testing::pair(probe).await.unwrap();
    for peer in [pair.a_to_b(), pair.b_to_a()] {
        let map = StringMap::from([("k", "v")]);
        let reply = MAP.call(&peer, &map).await.unwrap();
        assert_eq!(reply, StringMap::from([("k", "v"), ("reply", "ok")]));
        let reply = MAP.call(&peer, &StringMap::nil()).await.unwrap();
        assert_eq!(reply, StringMap::from([("reply", "ok")]));

        let count = Count {
            n: -3,
            s: "<é>".into(),
            list: vec!["a".into(), "b".into()],
        };
        let reply = JSON.call(&peer, &Json::new(count.clone())).await.unwrap();
        assert_eq!(reply.into_inner(), Some(Count { n: -2, ..count }));
        assert_eq!(
            remote(&JSON.call(&peer, &Json::nil()).await.unwrap_err()),
            "nil"
        );

        let values: UrlValues = [("a", "1"), ("a", "2"), ("b", "")].into_iter().collect();
        for values in [values, UrlValues::new()] {
            assert_eq!(URL_VALUES.call(&peer, &values).await.unwrap(), values);
        }
        for bytes in [Bytes::from(vec![0xff; 70_000]), Bytes::new(), Bytes::nil()] {
            let reply = BYTES.call(&peer, &bytes).await.unwrap();
            assert_eq!(reply, bytes);
            assert_eq!(reply.is_nil(), bytes.is_nil());
        }
        let array = Array::from(vec![map, StringMap::nil(), StringMap::new()]);
        for array in [array, Array::new(), Array::nil()] {
            let reply = ARRAY.call(&peer, &array).await.unwrap();
            assert_eq!(reply, array);
            assert_eq!(reply.is_nil(), array.is_nil());
        }
    }
    well(&pair).await;
}

#[tokio::test(start_paused = true)]
async fn probe_handlers_by_bytes() {
    let pair = testing::pair(probe).await.unwrap();
    for peer in [pair.a_to_b(), pair.b_to_a()] {
        for (handler, request, reply) in [
            // As recorded: the conversation of a typed string map.
            (MAP.id(), "81a16ba176", "82a16ba176a57265706c79a26f6b"),
            (URL_VALUES.id(), "81a16192a162a163", "81a16192a162a163"),
            (BYTES.id(), "c403010203", "c403010203"),
            (BYTES.id(), "c0", "c0"),
            (ARRAY.id(), "9281a161a162c0", "9281a161a162c0"),
            // {"n":7,"s":"x"} and a newline, with and without unknown fields.
            (
                JSON.id(),
                "c4107b226e223a372c2273223a2278227d0a",
                "c4107b226e223a382c2273223a2278227d0a",
            ),
            (
                JSON.id(),
                "c4187b226e223a372c2273223a2278222c227a223a6e756c6c7d",
                "c4107b226e223a382c2273223a2278227d0a",
            ),
        ] {
            let request = hex::decode(request).unwrap();
            let answer = raw(&peer, handler, request).await;
            assert_eq!(hex::encode(answer.unwrap().as_slice()), reply);
        }
        // As recorded: an array where a map belongs.
        let error = raw(&peer, MAP.id(), hex::decode("93010203").unwrap())
            .await
            .unwrap_err();
        let CallError::Remote(text) = &error else {
            panic!("{error:?}")
        };
        let text = text.to_string();
        assert!(
            text.starts_with("decoding the request: found an array, expected "),
            "{text}"
        );
    }
    well(&pair).await;
}

/// Sends a value as a request and back, then as an initial payload and as items and back.
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
    let pair: Pair = testing::pair(|node| {
        node.typed(&FENCE, same)
            .typed(&single, same)
            .typed_stream(&stream, echo)
    })
    .await
    .unwrap();
    for peer in [pair.a_to_b(), pair.b_to_a()] {
        for value in &values {
            assert_eq!(
                &single.call(&peer, value).timeout(LONG).await.unwrap(),
                value
            );
            let mut echoed = stream.open(&peer, value).timeout(LONG).await.unwrap();
            assert_eq!(&echoed.recv().await.unwrap().unwrap(), value);
            for item in &values {
                echoed.send(item).await.unwrap();
                assert_eq!(&echoed.recv().await.unwrap().unwrap(), item);
            }
            echoed.finish();
            assert!(echoed.recv().await.is_none());
        }
    }
    well(&pair).await;
}

#[tokio::test(start_paused = true)]
async fn c21_every_helper_goes_everywhere_pair() {
    let map = StringMap::from([("a", "b"), ("", "é")]);
    everywhere(vec![map.clone(), StringMap::new(), StringMap::nil()]).await;
    everywhere(vec![Bytes::from("data"), Bytes::new(), Bytes::nil()]).await;
    everywhere(vec![
        [("a", "1"), ("a", "2")].into_iter().collect(),
        UrlValues::new(),
    ])
    .await;
    everywhere(vec![
        Array::from(vec![map.clone()]),
        Array::new(),
        Array::nil(),
    ])
    .await;
    everywhere(vec![
        Json::new(Count {
            n: 1,
            ..Count::default()
        }),
        Json::nil(),
    ])
    .await;
    everywhere(vec![Timestamp::ZERO, Timestamp::new(1_700_000_000, 5)]).await;
    everywhere(vec![NoPayload]).await;
    everywhere(vec![()]).await;
    everywhere(vec![
        Value::Nil,
        Value::from("text"),
        Value::Map(vec![(
            Value::from("n"),
            Value::from(
                vec![1, 2, 3]
                    .into_iter()
                    .map(Value::from)
                    .collect::<Vec<_>>(),
            ),
        )]),
    ])
    .await;
    everywhere(vec![Some((map, Bytes::nil(), 7_u8)), None]).await;
}

#[tokio::test(start_paused = true)]
async fn no_payload_is_no_bytes() {
    static DONE: Single<NoPayload, NoPayload> = Single::new(HandlerId::new(232));
    static ABSENT: HandlerId = HandlerId::new(233);
    let pair = testing::pair(|node| {
        node.typed(&FENCE, same)
            .typed(&DONE, same)
            .single(ABSENT, |_| async { Ok(Payload::Absent) })
    })
    .await
    .unwrap();
    let peer = pair.a_to_b();
    // Present, as the reference's typed handlers answer.
    for request in [
        Payload::Absent,
        Payload::from(""),
        Payload::from("whatever"),
    ] {
        assert_eq!(
            raw(&peer, DONE.id(), request).await.unwrap(),
            Payload::from("")
        );
    }
    // An absent answer is no bytes too.
    let absent: Single<NoPayload, NoPayload> = Single::new(ABSENT);
    assert_eq!(absent.call(&peer, &NoPayload).await.unwrap(), NoPayload);
    let absent: Single<NoPayload, StringMap> = Single::new(ABSENT);
    let error = absent.call(&peer, &NoPayload).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "decoding the response: the value is cut short at byte 0"
    );
    well(&pair).await;
}

#[test]
fn inside_json_times_and_bytes_are_arrays() {
    let time = Json::new(Timestamp::new(1, 2));
    let payload = grid_typed::encode(&time).expect("encodes");
    assert!(payload.ends_with(b"[5,[0,0,0,0,0,0,0,1,0,0,0,2]]\n"));
    assert_eq!(
        grid_typed::decode::<Json<Timestamp>>(&payload).expect("reads back"),
        time
    );
    let bytes = Json::new(Bytes::from("ab"));
    let payload = grid_typed::encode(&bytes).expect("encodes");
    assert!(payload.ends_with(b"[97,98]\n"));
    assert_eq!(
        grid_typed::decode::<Json<Bytes>>(&payload).expect("reads back"),
        bytes
    );
}

#[test]
fn what_an_error_quotes_of_json_is_short() {
    let text = format!("{{\"n\":\"{}\"}}\n", "x".repeat(1000));
    let payload = grid_typed::encode(&Bytes::from(text)).expect("encodes");
    let error = grid_typed::decode::<Json<Count>>(&payload).expect_err("n is a number");
    assert!(error.to_string().len() < 300, "{error}");
}
