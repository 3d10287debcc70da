//! Typed streams: items both ways, halves, sinks and streams, and how they end.

mod common;

use std::convert::Infallible;

use common::*;
use futures_util::{SinkExt as _, StreamExt as _, TryStreamExt as _, stream};
use grid_transport::testing::{self, Pair};
use grid_transport::{Builder, SendError};
use grid_typed::{
    Capacity, HandlerError, HandlerId, ManagerBuilderExt as _, Streaming, TypedError, TypedOpen,
    TypedStreamCall,
};
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
struct Entry {
    name: String,
    size: i64,
    #[serde(with = "serde_bytes")]
    data: Vec<u8>,
}

fn entry(number: usize) -> Entry {
    Entry {
        name: format!("{number:03}"),
        size: number as i64,
        data: vec![7; number % 5],
    }
}

/// Opened with a prefix, which the echo puts before the names.
static ECHO: Streaming<String, Entry, Entry> =
    Streaming::new(HandlerId::new(220), Capacity::new(1, 1));
static ECHO_WIDE: Streaming<String, Entry, Entry> =
    Streaming::new(HandlerId::new(221), Capacity::new(64, 64));
static LIST: Streaming<usize, Infallible, Entry> =
    Streaming::new(HandlerId::new(222), Capacity::new(0, 8));
static COUNT: Streaming<(), Entry, usize> =
    Streaming::new(HandlerId::new(223), Capacity::new(8, 1));

async fn echo(prefix: String, mut call: TypedStreamCall<Entry, Entry>) -> Result<(), HandlerError> {
    let under = call
        .context()
        .subroute()
        .map(str::to_owned)
        .unwrap_or_default();
    while let Some(item) = call.recv().await {
        let item = item?;
        call.send(&Entry {
            name: format!("{prefix}{under}{}", item.name),
            ..item
        })
        .await?;
    }
    Ok(())
}

/// Sends that many, then fails where it was an odd number.
async fn list(count: usize, call: TypedStreamCall<Infallible, Entry>) -> Result<(), HandlerError> {
    for number in 0..count {
        call.send(&entry(number)).await?;
    }
    if count % 2 == 1 {
        Err(HandlerError::new(format!("{count} is odd")))
    } else {
        Ok(())
    }
}

async fn count(_: (), call: TypedStreamCall<Entry, usize>) -> Result<(), HandlerError> {
    let (context, sender, receiver) = call.into_parts();
    assert!(!context.is_cancelled());
    let items: Vec<_> = receiver.try_collect().await?;
    sender.send(&items.len()).await?;
    Ok(())
}

fn handlers(node: Builder) -> Builder {
    node.typed(&FENCE, |number, _| async move { Ok(number) })
        .typed_stream(&ECHO, echo)
        .typed_stream(&ECHO_WIDE, echo)
        .register(ECHO.handler(echo).subroute("disk1"))
        .typed_stream(&LIST, list)
        .typed_stream(&COUNT, count)
}

async fn pair() -> Pair {
    testing::pair(handlers).await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn items_go_both_ways_in_order() {
    let pair = pair().await;
    for peer in [pair.a_to_b(), pair.b_to_a()] {
        for echo in [ECHO, ECHO_WIDE] {
            let stream = echo
                .open(&peer, &"x/".to_owned())
                .timeout(LONG)
                .await
                .unwrap();
            let (mut sender, mut receiver) = stream.split();
            let sending = tokio::spawn(async move {
                for number in 0..300 {
                    sender.send(&entry(number)).await.unwrap();
                }
                sender.finish();
                sender.send(&entry(0)).await.unwrap_err()
            });
            for number in 0..300 {
                let item = receiver.recv().await.unwrap().unwrap();
                assert_eq!(
                    item,
                    Entry {
                        name: format!("x/{number:03}"),
                        ..entry(number)
                    }
                );
            }
            assert!(receiver.recv().await.is_none());
            assert!(receiver.recv().await.is_none());
            let late = sending.await.unwrap();
            assert!(
                matches!(
                    late,
                    TypedError::Send(SendError::Finished | SendError::Ended)
                ),
                "{late:?}"
            );
        }
    }
    well(&pair).await;
}

#[tokio::test(start_paused = true)]
async fn an_urgent_stream_is_opened_as_one() {
    let pair = pair().await;
    let peer = pair.a_to_b();
    let is_urgent = |opening: &TypedOpen<_, _>| format!("{opening:?}").contains("urgent: true");
    let opening = COUNT.open(&peer, &()).timeout(LONG);
    assert!(!is_urgent(&opening));
    let opening = opening.urgent();
    assert!(is_urgent(&opening));
    let mut counting = opening.await.unwrap();
    counting.send(&entry(1)).await.unwrap();
    counting.finish();
    assert_eq!(counting.recv().await.unwrap().unwrap(), 1);
    assert!(counting.recv().await.is_none());
    well(&pair).await;
}

#[tokio::test(start_paused = true)]
async fn one_direction_may_be_empty() {
    let pair = pair().await;
    let peer = pair.a_to_b();
    let items: Vec<_> = LIST
        .open(&peer, &50)
        .timeout(LONG)
        .await
        .unwrap()
        .try_collect()
        .await
        .unwrap();
    assert_eq!(items, (0..50).map(entry).collect::<Vec<_>>());

    let mut counting = COUNT.open(&peer, &()).timeout(LONG).await.unwrap();
    for number in 0..50 {
        counting.send(&entry(number)).await.unwrap();
    }
    counting.finish();
    assert_eq!(counting.recv().await.unwrap().unwrap(), 50);
    assert!(counting.recv().await.is_none());

    // Another definition of the same stream, by which an item could be sent.
    let list: Streaming<usize, Entry, Entry> = Streaming::new(LIST.id(), LIST.capacity());
    let mut stream = list.open(&peer, &2).timeout(LONG).await.unwrap();
    let error = stream.send(&entry(0)).await.unwrap_err();
    assert!(
        matches!(error, TypedError::Send(SendError::NoInput)),
        "{error:?}"
    );
    assert_eq!(stream.recv().await.unwrap().unwrap(), entry(0));
    assert_eq!(stream.recv().await.unwrap().unwrap(), entry(1));
    assert!(stream.recv().await.is_none());
    well(&pair).await;
}

#[tokio::test(start_paused = true)]
async fn they_are_sinks_and_streams() {
    let pair = pair().await;
    let peer = pair.a_to_b().subroute("disk1");
    let stream = ECHO
        .open(&peer, &"a/".to_owned())
        .timeout(LONG)
        .await
        .unwrap();
    let (sender, receiver) = stream.split();
    let sending = stream::iter((0..100).map(|number| Ok(entry(number)))).forward(sender);
    let (sent, received) = tokio::join!(sending, receiver.try_collect::<Vec<_>>());
    sent.unwrap();
    let names: Vec<_> = received
        .unwrap()
        .into_iter()
        .map(|entry| entry.name)
        .collect();
    assert_eq!(
        names,
        (0..100)
            .map(|number| format!("a/disk1{number:03}"))
            .collect::<Vec<_>>()
    );
    well(&pair).await;

    static FORWARD: Streaming<(), u64, u64> =
        Streaming::new(HandlerId::new(225), Capacity::new(4, 4));
    let pair = testing::pair(|node| {
        node.typed(&FENCE, |number, _| async move { Ok(number) })
            .typed_stream(&FORWARD, |(), call: TypedStreamCall<u64, u64>| async move {
                let (_, sink, stream) = call.into_parts();
                stream.map_ok(|number| number * 2).forward(sink).await?;
                Ok(())
            })
    })
    .await
    .unwrap();
    let mut doubled = FORWARD
        .open(&pair.a_to_b(), &())
        .timeout(LONG)
        .await
        .unwrap();
    doubled
        .send_all(&mut stream::iter((0..4).map(Ok)))
        .await
        .unwrap();
    doubled.close().await.unwrap();
    assert_eq!(doubled.try_collect::<Vec<_>>().await.unwrap(), [0, 2, 4, 6]);
    well(&pair).await;
}

#[tokio::test(start_paused = true)]
async fn an_error_comes_once_behind_the_items() {
    let pair = pair().await;
    let mut stream = LIST.open(&pair.b_to_a(), &21).timeout(LONG).await.unwrap();
    for number in 0..21 {
        assert_eq!(stream.recv().await.unwrap().unwrap(), entry(number));
    }
    assert_eq!(
        remote(&stream.recv().await.unwrap().unwrap_err()),
        "21 is odd"
    );
    assert!(stream.recv().await.is_none());
    well(&pair).await;
}

/// A number that has no encoding where it is 3.
#[derive(Debug, PartialEq, Deserialize)]
struct Picky(u64);

impl Serialize for Picky {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            3 => Err(serde::ser::Error::custom("3 has no encoding")),
            number => serializer.serialize_u64(number),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_sink_has_gathered_goes_before_the_error_of_one_that_can_not_be_encoded() {
    static PICKY: Streaming<(), Infallible, Picky> =
        Streaming::new(HandlerId::new(226), Capacity::new(0, 8));
    let pair = testing::pair(|node| {
        node.typed(&FENCE, |number, _| async move { Ok(number) })
            .typed_stream(
                &PICKY,
                |(), call: TypedStreamCall<Infallible, Picky>| async move {
                    let numbers = stream::iter((0..5).map(|number| Ok(Picky(number))));
                    Ok(numbers.forward(call).await?)
                },
            )
    })
    .await
    .unwrap();
    let mut numbers = PICKY.open(&pair.a_to_b(), &()).timeout(LONG).await.unwrap();
    for number in 0..3 {
        assert_eq!(numbers.recv().await.unwrap().unwrap(), Picky(number));
    }
    let error = numbers.recv().await.unwrap().unwrap_err();
    assert!(remote(&error).contains("3 has no encoding"), "{error}");
    assert!(numbers.recv().await.is_none());
    well(&pair).await;
}

#[test]
fn ends_cross_threads() {
    fn both<T: Send + Sync>() {}
    both::<grid_typed::TypedStream<std::rc::Rc<str>, std::rc::Rc<str>>>();
    both::<TypedStreamCall<u64, u64>>();
    both::<grid_typed::TypedSender<u64>>();
    both::<grid_typed::TypedReceiver<u64>>();
}
