//! The probe handlers, called by another node.

use std::time::Duration;

use bytes::Bytes;
use grid_cli::probe::{self, single, stream, typed};
use grid_transport::{
    Builder, CallError, Capacity, Connection, HandlerId, Payload,
    testing::{self, Pair},
};
use grid_typed::{Array, Json, StringMap, UrlValues};
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_secs(30);

/// Two nodes with the probe handlers, in memory; calls go from the first to the second.
async fn nodes(with_69: bool) -> Pair {
    testing::pair(|node| {
        probe::handlers(with_69)
            .into_iter()
            .fold(node, Builder::register)
    })
    .await
    .unwrap()
}

async fn ask(
    peer: &Connection,
    handler: HandlerId,
    payload: &'static str,
) -> Result<Payload, CallError> {
    peer.request(handler, payload).timeout(PATIENCE).await
}

fn present(text: &str) -> Payload {
    Payload::from(Bytes::copy_from_slice(text.as_bytes()))
}

#[tokio::test]
async fn single_requests() {
    let nodes = nodes(false).await;
    let peer = nodes.a_to_b();
    assert_eq!(ask(&peer, single::ECHO, "x").await.unwrap(), present("x"));
    assert_eq!(ask(&peer, single::ECHO, "").await.unwrap(), present(""));
    let routed = peer.subroute("subroute").subroute("1");
    assert_eq!(
        ask(&routed, single::ECHO, "x").await.unwrap(),
        present("sub1:x")
    );
    assert_eq!(ask(&peer, single::EMPTY, "x").await.unwrap(), present(""));
    assert_eq!(
        ask(&peer, single::ABSENT, "x").await.unwrap(),
        Payload::Absent
    );
    assert_eq!(
        ask(&peer, single::SLEEP, "5:x").await.unwrap(),
        present("5:x")
    );
    let failed = ask(&peer, single::FAIL, "my words").await;
    assert!(
        matches!(&failed, Err(CallError::Remote(text)) if *text == "my words"),
        "{failed:?}"
    );
    let failed = ask(&peer, single::PANIC, "oh").await;
    assert!(
        matches!(&failed, Err(CallError::Remote(text)) if *text == "handleMessages: panic recovered: oh"),
        "{failed:?}"
    );
    let usage = ask(&peer, single::USAGE, "").await.unwrap();
    let usage: serde_json::Value = serde_json::from_slice(usage.as_slice()).unwrap();
    assert!(
        usage["user_s"].as_f64().unwrap() + usage["sys_s"].as_f64().unwrap() > 0.0,
        "{usage}"
    );
    for missing in [77, 69] {
        let failed = ask(&peer, HandlerId::new(missing), "").await;
        assert!(
            matches!(failed, Err(CallError::UnknownHandler(_))),
            "{failed:?}"
        );
    }
}

#[tokio::test]
async fn typed_requests() {
    let nodes = nodes(false).await;
    let peer = nodes.a_to_b();
    let map = StringMap::from([("a", "b")]);
    let answer = typed::STRING_MAP.call(&peer, &map).await.unwrap();
    assert_eq!(answer, StringMap::from([("a", "b"), ("reply", "ok")]));
    let numbers = typed::Numbers {
        n: -5,
        s: "<é>".into(),
        list: Some(vec!["x".into()]),
    };
    let answer = typed::JSON
        .call(&peer, &Json::new(numbers.clone()))
        .await
        .unwrap();
    assert_eq!(
        answer.into_inner(),
        Some(typed::Numbers { n: -4, ..numbers })
    );
    let mut values = UrlValues::default();
    values.append("k", "1");
    values.append("k", "2");
    assert_eq!(
        typed::URL_VALUES.call(&peer, &values).await.unwrap(),
        values
    );
    for bytes in [
        grid_typed::Bytes::nil(),
        grid_typed::Bytes::new(),
        grid_typed::Bytes::from("data"),
    ] {
        assert_eq!(typed::BYTES.call(&peer, &bytes).await.unwrap(), bytes);
    }
    let mut array = Array::default();
    array.push(map);
    array.push(StringMap::nil());
    assert_eq!(typed::ARRAY.call(&peer, &array).await.unwrap(), array);
}

/// All items of a stream that takes no input, and how it ended.
async fn drain(
    peer: &Connection,
    handler: HandlerId,
    capacity: Capacity,
    payload: &'static str,
) -> (Vec<Bytes>, Option<CallError>) {
    let mut items = Vec::new();
    let mut stream = peer
        .stream(handler, capacity, payload)
        .timeout(PATIENCE)
        .await
        .unwrap();
    while let Some(item) = stream.recv().await {
        match item {
            Ok(item) => items.push(item.into_bytes()),
            Err(error) => return (items, Some(error)),
        }
    }
    (items, None)
}

#[tokio::test]
async fn streams_out() {
    let nodes = nodes(false).await;
    let peer = nodes.a_to_b();
    for (handler, capacity) in [
        (stream::COUNT_OUT, Capacity::new(0, 1)),
        (stream::COUNT_OUT_WIDE, Capacity::new(0, 100)),
    ] {
        let (items, end) = drain(&peer, handler, capacity, "300:2").await;
        assert!(end.is_none(), "{end:?}");
        assert_eq!(items.len(), 300);
        for (at, item) in items.iter().enumerate() {
            assert_eq!(item.as_ref(), [(at % 256) as u8; 4], "item {at}");
        }
        let (items, _) = drain(&peer, handler, capacity, "2:1000").await;
        assert_eq!(items, [vec![0; 1000], vec![1; 1000]]);
        let (items, end) = drain(&peer, handler, capacity, "0").await;
        assert!(items.is_empty() && end.is_none());
        let (_, end) = drain(&peer, handler, capacity, "many").await;
        assert!(matches!(&end, Some(CallError::Remote(_))), "{end:?}");
    }
    let out = Capacity::new(0, 1);
    let (items, end) = drain(&peer, stream::FAIL_LATE, out, "3:no more").await;
    assert_eq!(items, ["msg0", "msg1", "msg2"]);
    assert!(
        matches!(&end, Some(CallError::Remote(text)) if *text == "no more"),
        "{end:?}"
    );
    let (items, end) = drain(&peer, stream::PANIC_LATE, out, "1:boom").await;
    assert_eq!(items, ["msg0"]);
    assert!(
        matches!(&end, Some(CallError::Remote(text)) if *text == "handler panic: boom"),
        "{end:?}"
    );
}

#[tokio::test]
async fn streams_both_ways() {
    let nodes = nodes(true).await;
    let peer = nodes.a_to_b();
    let routed = peer.subroute("subroute/1");
    let (narrow, wide) = (Capacity::new(1, 1), Capacity::new(100, 100));
    for (peer, handler, capacity) in [
        (&peer, stream::ECHO_ITEMS, narrow),
        (&routed, stream::ECHO_ITEMS, narrow),
        (&peer, stream::ECHO_ITEMS_WIDE, wide),
        (&peer, stream::ECHO_ON_DEMAND, narrow),
    ] {
        let mut stream = peer
            .stream(handler, capacity, "")
            .timeout(PATIENCE)
            .await
            .unwrap();
        for text in ["a", "", "b"] {
            stream.send(text).await.unwrap();
            assert_eq!(stream.recv().await.unwrap().unwrap(), present(text));
        }
        stream.finish();
        assert!(stream.recv().await.is_none());
    }
    for (handler, capacity) in [
        (stream::COUNT_IN, Capacity::new(1, 1)),
        (stream::COUNT_IN_WIDE, Capacity::new(100, 1)),
    ] {
        let mut stream = peer
            .stream(handler, capacity, "")
            .timeout(PATIENCE)
            .await
            .unwrap();
        for _ in 0..150 {
            stream.send("x").await.unwrap();
        }
        stream.finish();
        assert_eq!(stream.recv().await.unwrap().unwrap(), present("150"));
        assert!(stream.recv().await.is_none());
    }
}

#[tokio::test]
async fn stuck_streams_end_when_they_are_cancelled() {
    let nodes = nodes(false).await;
    let peer = nodes.a_to_b();
    for (handler, capacity) in [
        (stream::STUCK, Capacity::new(1, 1)),
        (stream::STUCK_OUT, Capacity::new(0, 1)),
    ] {
        let mut stream = peer.stream(handler, capacity, "").await.unwrap();
        stream.cancel_handle().cancel();
        let end = timeout(PATIENCE, stream.recv())
            .await
            .expect("an end in time");
        assert!(matches!(end, Some(Err(CallError::Cancelled))), "{end:?}");
    }
}
