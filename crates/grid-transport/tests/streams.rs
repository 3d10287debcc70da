//! Streams of every shape, in both directions, fast and slow.

mod probe;

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use grid_transport::{
    CallError, Capacity, HandlerId, Payload, SendError, Settings, Stream, StreamHandler, testing,
};
use probe::*;
use tokio::time::{Instant, sleep};

/// All items, and how it ended.
async fn drain(stream: &mut Stream) -> (Vec<Payload>, Option<CallError>) {
    let mut items = Vec::new();
    loop {
        match stream.recv().await {
            Some(Ok(item)) => items.push(item),
            Some(Err(error)) => {
                assert!(stream.recv().await.is_none(), "an error comes once");
                return (items, Some(error));
            }
            None => return (items, None),
        }
    }
}

fn messages(count: usize) -> Vec<Payload> {
    (0..count)
        .map(|item| Payload::from(format!("msg{item}")))
        .collect()
}

#[tokio::test(start_paused = true)]
async fn items_of_the_handler_arrive_in_order_and_end() {
    let pair = pair().await;
    for peer in [pair.a_to_b(), pair.b_to_a()] {
        for (handler, capacity) in [(ITEMS, OUT_1), (ITEMS_100, OUT_100)] {
            for (request, count, size) in [
                ("0", 0, 4),
                ("1", 1, 4),
                ("500", 500, 4),
                ("300:5000", 300, 5000),
            ] {
                let mut stream = peer.stream(handler, capacity, request).await.unwrap();
                let (items, end) = drain(&mut stream).await;
                assert!(end.is_none(), "{end:?}");
                assert_eq!(items.len(), count);
                for (index, item) in items.iter().enumerate() {
                    assert!(
                        item.as_slice() == vec![index as u8; size],
                        "item {index} of {request}"
                    );
                }
                assert!(stream.recv().await.is_none(), "the end stays");
            }
        }
    }
    settled(&pair).await;
}

#[tokio::test(start_paused = true)]
async fn two_way_streams_echo_everything() {
    let pair = pair().await;
    let peer = pair.a_to_b();
    for (peer, handler, capacity) in [
        (peer.clone(), TWO_WAY, BOTH_1),
        (peer.subroute("subroute/1"), TWO_WAY, BOTH_1),
        (peer, TWO_WAY_100, BOTH_100),
    ] {
        let (mut sender, mut receiver) = peer
            .stream(handler, capacity, Payload::Absent)
            .await
            .unwrap()
            .split();
        let send = async {
            for item in messages(1_000) {
                sender.send(item).await.unwrap();
            }
            sender.finish();
            assert!(matches!(
                sender.send("late").await,
                Err(SendError::Finished)
            ));
        };
        let receive = async {
            let mut items = Vec::new();
            while let Some(item) = receiver.recv().await {
                items.push(item.unwrap());
            }
            items
        };
        let ((), items) = tokio::join!(send, receive);
        assert_eq!(items, messages(1_000));
    }
    settled(&pair).await;
}

#[tokio::test(start_paused = true)]
async fn input_is_counted_to_the_last_item() {
    let pair = pair().await;
    for (handler, capacity) in [(COUNT, BOTH_1), (COUNT_100, IN_100)] {
        for count in [0, 1, 1_000] {
            let mut stream = pair.a_to_b().stream(handler, capacity, "x").await.unwrap();
            for item in messages(count) {
                stream.send(item).await.unwrap();
            }
            stream.finish();
            let (items, end) = drain(&mut stream).await;
            assert!(end.is_none());
            assert_eq!(items, [Payload::from(count.to_string())]);
            assert!(matches!(
                stream.send("late").await,
                Err(SendError::Ended | SendError::Finished)
            ));
        }
    }
    settled(&pair).await;
}

#[tokio::test(start_paused = true)]
async fn errors_and_panics_come_after_the_items() {
    let pair = pair().await;
    for (handler, text) in [
        (FAIL_AFTER, "broken"),
        (PANIC_AFTER, "handler panic: broken"),
    ] {
        for count in [0, 1, 50] {
            let request = format!("{count}:broken");
            let mut stream = pair.b_to_a().stream(handler, OUT_1, request).await.unwrap();
            // A slow consumer: all is waiting by the time that it looks.
            // tidy: sleep: the consumer is late, under paused time
            sleep(Duration::from_millis(100)).await;
            let (items, end) = drain(&mut stream).await;
            assert_eq!(items, messages(count));
            assert!(
                matches!(&end, Some(CallError::Remote(remote)) if *remote == text),
                "{end:?}"
            );
        }
    }
    let mut stream = pair.b_to_a().stream(FAIL_AFTER, OUT_1, "0:").await.unwrap();
    let (_, end) = drain(&mut stream).await;
    assert!(
        matches!(&end, Some(CallError::Remote(remote)) if *remote == ""),
        "{end:?}"
    );
    settled(&pair).await;
}

#[tokio::test(start_paused = true)]
async fn streams_are_futures_streams_and_sinks() {
    let pair = pair().await;
    let stream = pair.a_to_b().stream(TWO_WAY, BOTH_1, "x").await.unwrap();
    let (mut sink, stream) = stream.split();
    let mut input = futures_util::stream::iter(messages(300).into_iter().map(Ok));
    let (sent, items) = tokio::join!(
        async {
            sink.send_all(&mut input).await?;
            sink.close().await
        },
        stream.map(Result::unwrap).collect::<Vec<_>>(),
    );
    sent.unwrap();
    assert_eq!(items, messages(300));
    settled(&pair).await;
}

#[tokio::test(start_paused = true)]
async fn what_the_definition_forbids_is_a_typed_error() {
    let limit = 100_000;
    let pair = testing::pair(|builder| probe(builder).settings(Settings::new().max_message(limit)))
        .await
        .unwrap();
    let peer = pair.a_to_b();
    let mut items = peer.stream(ITEMS, OUT_1, "3").await.unwrap();
    assert!(matches!(items.send("x").await, Err(SendError::NoInput)));
    items.finish();
    assert_eq!(drain(&mut items).await.0.len(), 3);

    let mut echo = peer.stream(TWO_WAY, BOTH_1, "x").await.unwrap();
    let error = echo.send(vec![0; limit]).await.unwrap_err();
    assert!(
        matches!(error.as_call(), Some(CallError::TooLarge { .. })),
        "{error:?}"
    );
    echo.send("goes on").await.unwrap();
    assert_eq!(
        echo.recv().await.unwrap().unwrap(),
        Payload::from("goes on")
    );
    echo.finish();
    assert!(echo.recv().await.is_none());

    let large = peer.stream(ITEMS, OUT_1, vec![0; limit]).await.unwrap_err();
    assert!(matches!(large, CallError::TooLarge { .. }), "{large:?}");
    settled(&pair).await;
}

#[tokio::test(start_paused = true)]
async fn different_definitions_never_end_quietly() {
    let pair = pair().await;
    let peer = pair.a_to_b();
    // The handler may send 100 ahead, this caller takes 1.
    let mut stream = peer.stream(ITEMS_100, OUT_1, "50").await.unwrap();
    // tidy: sleep: the consumer is late, under paused time
    sleep(Duration::from_millis(10)).await;
    let (items, end) = drain(&mut stream).await;
    assert!(items.len() < 50);
    assert!(
        matches!(end, Some(CallError::CapacityMismatch { capacity: 1 })),
        "{end:?}"
    );
    // The handler takes no input, this caller thinks it does.
    let mut stream = peer.stream(WAITS, BOTH_1, "x").await.unwrap();
    let sent = stream.send("x").await;
    let (_, end) = drain(&mut stream).await;
    assert!(end.is_some() || sent.is_err(), "{sent:?} {end:?}");
    settled(&pair).await;
}

#[tokio::test(start_paused = true)]
async fn a_stream_outlives_silence_on_both_sides() {
    let settings = Settings::new()
        .ping_interval(Duration::from_millis(100))
        .stream_ping_interval(Duration::from_millis(100));
    let pair = testing::pair(|builder| probe(builder).settings(settings.clone()))
        .await
        .unwrap();
    let mut stream = pair.a_to_b().stream(TWO_WAY, BOTH_1, "x").await.unwrap();
    for item in messages(5) {
        // tidy: sleep: both sides are silent, under paused time
        sleep(Duration::from_secs(5)).await;
        stream.send(item.clone()).await.unwrap();
        assert_eq!(stream.recv().await.unwrap().unwrap(), item);
    }
    assert_eq!(pair.a_to_b().stats().reconnects, 0);

    let [a, b] = testing::NAMES;
    let began = Instant::now();
    pair.net.freeze(a, b, true);
    let (_, end) = drain(&mut stream).await;
    assert!(
        matches!(end, Some(CallError::Disconnected { .. })),
        "{end:?}"
    );
    let took = began.elapsed().as_millis();
    assert!((200..=400).contains(&took), "noticed after {took} ms");
}

#[tokio::test(start_paused = true)]
async fn ten_streams_of_thousands_of_items_side_by_side() {
    const WIDE: HandlerId = HandlerId::new(200);
    let wide = Capacity::new(0, 10_000);
    let pair = testing::pair(|builder| {
        probe(builder).register(StreamHandler::new(WIDE, wide, |call| async move {
            for item in messages(2_000) {
                call.send(item).await?;
            }
            Ok(())
        }))
    })
    .await
    .unwrap();
    let mut streams = tokio::task::JoinSet::new();
    for index in 0..10 {
        let peer = if index % 2 == 0 {
            pair.a_to_b()
        } else {
            pair.b_to_a()
        };
        streams.spawn(async move {
            let mut stream = peer.stream(WIDE, wide, "x").await.unwrap();
            let (items, end) = drain(&mut stream).await;
            assert!(end.is_none(), "{end:?}");
            assert!(items == messages(2_000));
        });
    }
    while let Some(stream) = streams.join_next().await {
        stream.unwrap();
    }
    settled(&pair).await;
}
