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
/// Has its sink gather three items, and ends.
const GATHERS: HandlerId = HandlerId::new(213);
const CAPACITY: Capacity = Capacity::new(100, 100);
const ONE: Capacity = Capacity::new(1, 1);
/// As many gather.
const GATHERED: usize = 32;
/// Or so many bytes.
const GATHERED_BYTES: usize = 16 * 1024;

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
    .register(StreamHandler::new(
        GATHERS,
        capacity,
        |mut call| async move {
            for number in 0..3_u32 {
                call.feed(Payload::from(number.to_le_bytes().to_vec()))
                    .await?;
            }
            Ok(())
        },
    ))
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

/// All items, and how it ended.
async fn drain(receiver: &mut StreamReceiver) -> (usize, Option<CallError>) {
    let mut count = 0;
    loop {
        match receiver.recv().await {
            Some(Ok(_)) => count += 1,
            Some(Err(error)) => return (count, Some(error)),
            None => return (count, None),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_handlers_items_that_were_not_flushed_go_while_there_is_credit_and_no_end_hides_others() {
    let pair = pair().await;
    let (_sender, mut receiver) = open(&pair.a_to_b(), GATHERS).await;
    let (count, end) = drain(&mut receiver).await;
    assert_eq!(count, 3);
    assert!(end.is_none(), "{end:?}");

    let pair = testing::pair(|node| handlers(node, ONE)).await.unwrap();
    let stream = pair.a_to_b().stream(GATHERS, ONE, "").await.unwrap();
    let (_sender, mut receiver) = stream.split();
    let (count, end) = drain(&mut receiver).await;
    assert_eq!(count, 1);
    let end = end.expect("not all has come");
    assert!(end.to_string().contains("not flushed"), "{end}");
}

#[tokio::test(start_paused = true)]
async fn a_callers_items_that_were_not_flushed_go_before_its_finish_or_there_is_no_clean_end() {
    for (capacity, arrive) in [(CAPACITY, true), (ONE, false)] {
        let pair = testing::pair(|node| handlers(node, capacity))
            .await
            .unwrap();
        let stream = pair.a_to_b().stream(ECHO, capacity, "").await.unwrap();
        let (mut sender, mut receiver) = stream.split();
        // There is credit once the handler is there.
        SinkExt::send(&mut sender, "first".into()).await.unwrap();
        receiver.recv().await.unwrap().unwrap();
        for _ in 0..3 {
            sender.feed("item".into()).await.unwrap();
        }
        sender.finish();
        let (count, end) = drain(&mut receiver).await;
        if arrive {
            assert_eq!(count, 3);
            assert!(end.is_none(), "{end:?}");
        } else {
            assert!(matches!(end, Some(CallError::Cancelled)), "{end:?}");
        }
    }
}

/// The queue takes a few of the items, so that most wait for room and others for credit.
#[tokio::test(start_paused = true)]
async fn what_finds_no_room_goes_once_there_is_some() {
    const COUNT: usize = 500;
    const LEN: usize = 3_000;
    let settings = Settings::new().max_queued(8 << 10);
    for urgent in [false, true] {
        let pair = testing::pair(|node| handlers(node, CAPACITY).settings(settings.clone()))
            .await
            .unwrap();
        let peer = pair.a_to_b();
        let opening = peer.stream(ECHO, CAPACITY, "");
        let opening = if urgent { opening.urgent() } else { opening };
        let (sender, receiver) = opening.await.unwrap().split();
        let items = stream::iter(0..COUNT);
        let send = items
            .map(|number| Ok(Payload::from(vec![number as u8; LEN])))
            .forward(sender);
        let (sent, received) = tokio::join!(send, receiver.try_collect::<Vec<_>>());
        sent.unwrap();
        let received = received.unwrap();
        assert_eq!(received.len(), COUNT);
        for (number, item) in received.iter().enumerate() {
            assert_eq!(item.as_slice(), [number as u8; LEN]);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_sink_that_waits_is_told_of_a_lost_link() {
    let pair = testing::pair(|node| handlers(node, ONE)).await.unwrap();
    let stream = pair.a_to_b().stream(ECHO, ONE, "").await.unwrap();
    let (sender, _receiver) = stream.split();
    // Nobody takes what comes back.
    let send = stream::repeat("item").map(|item| Ok(Payload::from(item)));
    let send = tokio::spawn(send.forward(sender));
    timeout(Duration::from_secs(1), std::future::pending::<()>())
        .await
        .unwrap_err();
    assert!(!send.is_finished());
    pair.cut();
    let error = send.await.unwrap().unwrap_err();
    assert!(matches!(error, SendError::Call(_)), "{error:?}");
}
