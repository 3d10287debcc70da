//! Consumers that take their time (C06, C08).

use std::time::Duration;

use grid_transport::{Builder, CallError, Capacity, HandlerError, HandlerId, StreamCall};
use tokio::{task::JoinSet, time::sleep};

use crate::{
    nodes::{Nodes, messages, recv, soon},
    probe::{probe, text},
    scale::scaled,
};

/// How long a consumer takes for an item.
const EACH: Duration = Duration::from_millis(1);

const OUT: [u32; 4] = [1, 2, 100, 10_000];

/// The handler whose stream has this of the capacities.
fn handler(index: usize) -> HandlerId {
    HandlerId::new(200 + index as u8)
}

async fn send_messages(call: StreamCall) -> Result<(), HandlerError> {
    let text = text(call.payload());
    let (count, fails) = match text.strip_suffix('!') {
        Some(count) => (count.parse()?, true),
        None => (text.parse()?, false),
    };
    for item in messages(count) {
        call.send(item).await?;
    }
    match fails {
        true => Err(HandlerError::new("broken")),
        false => Ok(()),
    }
}

/// A handler for each of the capacities; it fails at the end where it is asked to.
fn senders(builder: Builder) -> Builder {
    (0..OUT.len()).fold(probe(builder), |builder, index| {
        let capacity = Capacity::new(0, OUT[index]);
        builder.stream(handler(index), capacity, send_messages)
    })
}

/// Reads streams of all capacities at once, slowly, and returns how each ended.
async fn read_slowly(nodes: &Nodes, request: &str, count: usize) -> Vec<Option<CallError>> {
    let mut consumers = JoinSet::new();
    for (index, out) in OUT.into_iter().enumerate() {
        let peer = nodes.a_to_b();
        let request = request.to_owned();
        consumers.spawn(async move {
            let capacity = Capacity::new(0, out);
            let open = peer.stream(handler(index), capacity, request);
            let mut stream = open.await.unwrap();
            let mut got = Vec::new();
            let end = loop {
                match recv(&mut stream).await {
                    Some(Ok(item)) => got.push(item),
                    Some(Err(error)) => break Some(error),
                    None => break None,
                }
                // tidy: sleep: a slow consumer is the scenario
                sleep(EACH).await;
            };
            assert!(recv(&mut stream).await.is_none());
            assert!(got == messages(count), "OUT {out}: {} items", got.len());
            end
        });
    }
    let mut ends = Vec::new();
    while let Some(consumer) = soon(consumers.join_next()).await {
        ends.push(consumer.unwrap());
    }
    assert_eq!(ends.len(), OUT.len());
    ends
}

async fn every_item_and_a_clean_end(nodes: Nodes, count: usize) {
    for end in read_slowly(&nodes, &count.to_string(), count).await {
        assert!(end.is_none(), "{end:?}");
    }
    nodes.settled().await;
}

#[tokio::test]
async fn c06_a_slow_consumer_gets_every_item() {
    let count = scaled("C06", "items", 1_500, 10_000);
    every_item_and_a_clean_end(Nodes::tcp(senders).await, count).await;
}

#[tokio::test(start_paused = true)]
async fn c06_a_slow_consumer_gets_every_item_pair() {
    every_item_and_a_clean_end(Nodes::memory(senders).await, 10_000).await;
}

async fn items_before_the_error(nodes: Nodes) {
    for end in read_slowly(&nodes, "50!", 50).await {
        assert!(
            matches!(&end, Some(CallError::Remote(text)) if *text == "broken"),
            "{end:?}"
        );
    }
    nodes.settled().await;
}

#[tokio::test]
async fn c08_items_before_the_error() {
    items_before_the_error(Nodes::tcp(senders).await).await;
}

#[tokio::test(start_paused = true)]
async fn c08_items_before_the_error_pair() {
    items_before_the_error(Nodes::memory(senders).await).await;
}
