//! Streams as sinks, which gather what they are given and send it together.

#[path = "common/pairs.rs"]
mod pairs;

use std::time::Duration;

use futures_util::{FutureExt as _, SinkExt, StreamExt as _, TryStreamExt as _, stream};
use grid_transport::{
    Builder, CallError, Capacity, Connection, HandlerId, Payload, SendError, Settings,
    StreamHandler, StreamReceiver, StreamSender,
    testing::{self, Pair},
};
use tokio::time::timeout;

/// Gives back what it gets.
const ECHO: HandlerId = HandlerId::new(210);
/// The same, as a sink that a stream is forwarded to.
const FORWARD: HandlerId = HandlerId::new(211);
/// Ends at once.
const ENDS: HandlerId = HandlerId::new(212);
const CAPACITY: Capacity = Capacity::new(100, 100);
const ONE: Capacity = Capacity::new(1, 1);
/// As many gather.
const GATHERED: usize = 32;
/// Or so many bytes.
const GATHERED_BYTES: usize = 64 * 1024;

fn handlers(node: Builder, capacity: Capacity) -> Builder {
    node.register(StreamHandler::new(ECHO, capacity, |mut call| async move {
        while let Some(item) = call.recv().await {
            call.send(item?).await?;
        }
        Ok(())
    }))
    .register(StreamHandler::new(FORWARD, capacity, |call| async move {
        let (_, _context, sender, receiver) = call.into_parts();
        receiver.map_err(SendError::Call).forward(sender).await?;
        Ok(())
    }))
    .register(StreamHandler::new(ENDS, capacity, |_| async { Ok(()) }))
}

async fn pair() -> Pair {
    testing::pair(|node| handlers(node, CAPACITY))
        .await
        .unwrap()
}

async fn open(peer: &Connection, handler: HandlerId) -> (StreamSender, StreamReceiver) {
    let stream = peer.stream(handler, CAPACITY, "").await.unwrap();
    stream.split()
}

/// How many come back before all is still.
async fn returned(receiver: &mut StreamReceiver) -> usize {
    let mut count = 0;
    while let Ok(item) = timeout(Duration::from_secs(1), receiver.recv()).await {
        item.unwrap().unwrap();
        count += 1;
    }
    count
}

#[tokio::test(start_paused = true)]
async fn items_go_together_once_they_are_many() {
    let pair = pair().await;
    let (mut sender, mut receiver) = open(&pair.a_to_b(), ECHO).await;
    for _ in 0..GATHERED {
        sender.feed("item".into()).await.unwrap();
    }
    assert_eq!(
        returned(&mut receiver).await,
        0,
        "there may be more to come"
    );
    sender.feed("one more".into()).await.unwrap();
    assert_eq!(returned(&mut receiver).await, GATHERED);
    sender.flush().await.unwrap();
    assert_eq!(returned(&mut receiver).await, 1);
    // Each by itself, where nobody said that more would come.
    SinkExt::send(&mut sender, "item".into()).await.unwrap();
    assert_eq!(returned(&mut receiver).await, 1);
}

#[tokio::test(start_paused = true)]
async fn items_go_together_once_they_are_large() {
    let pair = pair().await;
    let (mut sender, mut receiver) = open(&pair.a_to_b(), ECHO).await;
    for len in [GATHERED_BYTES - 1, 1, 0] {
        assert_eq!(
            returned(&mut receiver).await,
            0,
            "there may be more to come"
        );
        sender.feed(vec![7; len].into()).await.unwrap();
    }
    assert_eq!(returned(&mut receiver).await, 2);
    // What has gone does not count.
    sender.feed("small".into()).await.unwrap();
    sender.feed("small".into()).await.unwrap();
    assert_eq!(returned(&mut receiver).await, 0);
}

/// With credit for one at a time, and with more items than anything has room for.
#[tokio::test(start_paused = true)]
async fn what_is_forwarded_arrives_in_order_and_ends() {
    const COUNT: u32 = 1_000;
    for capacity in [ONE, CAPACITY] {
        let pair = testing::pair(|node| handlers(node, capacity))
            .await
            .unwrap();
        for peer in [pair.a_to_b(), pair.b_to_a()] {
            let stream = peer.stream(FORWARD, capacity, "").await.unwrap();
            let (sender, receiver) = stream.split();
            let numbers = stream::iter(0..COUNT);
            let send = numbers
                .map(|number| Ok(Payload::from(number.to_le_bytes().to_vec())))
                .forward(sender);
            let receive = receiver.try_collect::<Vec<_>>();
            let (sent, received) = tokio::join!(send, receive);
            sent.unwrap();
            let received = received.unwrap();
            assert_eq!(received.len(), COUNT as usize);
            for (number, item) in (0..COUNT).zip(received) {
                assert_eq!(item.as_slice(), number.to_le_bytes());
            }
        }
    }
}

#[tokio::test]
async fn what_is_forwarded_over_tcp_arrives_in_order_and_ends() {
    const COUNT: u32 = 50_000;
    let pair = pairs::tcp(|node| handlers(node, CAPACITY)).await;
    let (sender, receiver) = open(&pair.a_to_b(), FORWARD).await;
    let numbers = stream::iter(0..COUNT);
    let send = numbers
        .map(|number| Ok(Payload::from(number.to_le_bytes().to_vec())))
        .forward(sender);
    let receive = receiver.try_fold(0_u32, |next, item| async move {
        assert_eq!(item.as_slice(), next.to_le_bytes());
        Ok(next + 1)
    });
    let (sent, received) = tokio::join!(send, receive);
    sent.unwrap();
    assert_eq!(received.unwrap(), COUNT);
    pair.shutdown(Duration::ZERO).await;
}

#[tokio::test(start_paused = true)]
async fn one_that_is_too_large_is_told_and_the_others_go() {
    let settings = Settings::new().max_message(1 << 20);
    let pair = testing::pair(|node| handlers(node, CAPACITY).settings(settings.clone()))
        .await
        .unwrap();
    let (mut sender, mut receiver) = open(&pair.a_to_b(), ECHO).await;
    sender.feed("before".into()).await.unwrap();
    sender.feed(vec![7; 2 << 20].into()).await.unwrap();
    let error = sender.feed("after".into()).await.unwrap_err();
    assert!(
        matches!(error, SendError::Call(CallError::TooLarge { .. })),
        "{error:?}"
    );
    sender.feed("after".into()).await.unwrap();
    sender.flush().await.unwrap();
    for item in ["before", "after"] {
        assert_eq!(receiver.recv().await.unwrap().unwrap(), item.into());
    }
    assert!(receiver.recv().now_or_never().is_none());
}

#[tokio::test(start_paused = true)]
async fn a_sink_whose_stream_has_ended_says_so_and_keeps_nothing() {
    let pair = pair().await;
    let (mut sender, mut receiver) = open(&pair.a_to_b(), ENDS).await;
    assert!(receiver.recv().await.is_none());
    let item = bytes::Bytes::from(vec![7; 100]);
    for _ in 0..GATHERED {
        sender.feed(item.clone().into()).await.unwrap();
    }
    assert!(!item.is_unique());
    let error = sender.feed(item.clone().into()).await.unwrap_err();
    assert!(matches!(error, SendError::Ended), "{error:?}");
    assert!(item.is_unique(), "nobody will have them");
    sender.flush().await.unwrap();
}
