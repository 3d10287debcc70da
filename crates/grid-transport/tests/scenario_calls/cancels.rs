//! Callers that cancel, and what that does to the handler (C14 to C17).

use grid_transport::{Builder, CallError, HandlerId, Stream, StreamHandler};

use crate::{
    nodes::{Nodes, Reached, Steps, recv, soon, steps},
    probe::{BOTH_1, OUT_1, probe},
};

/// Works after the end of its input.
const WORKS: HandlerId = HandlerId::new(200);
/// The same, and is told instead of dropped.
const TOLD: HandlerId = HandlerId::new(201);
/// Never reads its input.
const DEAF: HandlerId = HandlerId::new(202);
/// Sends without end.
const SENDS: HandlerId = HandlerId::new(203);

fn handlers(builder: Builder, steps: &Steps) -> Builder {
    let works = {
        let steps = steps.clone();
        move |mut call: grid_transport::StreamCall| {
            let steps = steps.clone();
            async move {
                let _gone = steps.on_drop("gone");
                while let Some(item) = call.recv().await {
                    item?;
                }
                steps.at("works");
                call.context().cancelled().await;
                steps.at("told");
                Ok(())
            }
        }
    };
    let deaf = {
        let steps = steps.clone();
        move |_call| {
            let steps = steps.clone();
            async move {
                let _gone = steps.on_drop("gone");
                steps.at("began");
                std::future::pending().await
            }
        }
    };
    let sends = {
        let steps = steps.clone();
        move |call: grid_transport::StreamCall| {
            let steps = steps.clone();
            async move {
                let _gone = steps.on_drop("gone");
                steps.at("began");
                loop {
                    call.send("item").await?;
                }
            }
        }
    };
    probe(builder)
        .stream(WORKS, BOTH_1, works.clone())
        .register(StreamHandler::new(TOLD, BOTH_1, works).detached())
        .stream(DEAF, BOTH_1, deaf)
        .stream(SENDS, OUT_1, sends)
}

async fn tcp() -> (Nodes, Reached) {
    let (steps, reached) = steps();
    let nodes = Nodes::tcp(|builder| handlers(builder, &steps)).await;
    (nodes, reached)
}

async fn memory() -> (Nodes, Reached) {
    let (steps, reached) = steps();
    let nodes = Nodes::memory(|builder| handlers(builder, &steps)).await;
    (nodes, reached)
}

/// The ways to cancel a stream. What is kept of it is returned, so that it is no drop that counts.
const WAYS: [fn(Stream) -> Option<Stream>; 3] = [
    |stream| {
        stream.cancel_handle().cancel();
        Some(stream)
    },
    |stream| {
        drop(stream);
        None
    },
    |stream| {
        let (_sender, receiver) = stream.split();
        drop(receiver);
        None
    },
];

async fn after_the_end_of_input((nodes, mut reached): (Nodes, Reached)) {
    for cancel in WAYS {
        for (handler, end) in [(WORKS, &["gone"][..]), (TOLD, &["told", "gone"])] {
            let open = nodes.a_to_b().stream(handler, BOTH_1, "x");
            let mut stream = open.await.unwrap();
            stream.send("input").await.unwrap();
            stream.finish();
            reached.expect("works").await;
            let watch = nodes.watch();
            let kept = cancel(stream);
            for step in end {
                reached.expect(step).await;
            }
            watch.within_a_second();
            nodes.settled().await;
            drop(kept);
        }
    }
}

#[tokio::test]
async fn c14_a_cancel_after_the_end_of_input_reaches_the_handler() {
    after_the_end_of_input(tcp().await).await;
}

#[tokio::test(start_paused = true)]
async fn c14_a_cancel_after_the_end_of_input_reaches_the_handler_pair() {
    after_the_end_of_input(memory().await).await;
}

async fn of_a_handler_that_never_reads((nodes, mut reached): (Nodes, Reached)) {
    for cancel in WAYS {
        let stream = nodes.a_to_b().stream(DEAF, BOTH_1, "x").await.unwrap();
        reached.expect("began").await;
        // IN is 1, and the next one waits behind it.
        soon(stream.send("one")).await.unwrap();
        {
            let second = stream.send("two");
            tokio::pin!(second);
            assert!(futures_util::poll!(&mut second).is_pending());
        }
        let watch = nodes.watch();
        let kept = cancel(stream);
        reached.expect("gone").await;
        nodes.settled().await;
        watch.within_a_second();
        drop(kept);
    }
}

#[tokio::test]
async fn c15_nothing_is_left_of_a_handler_that_never_reads() {
    of_a_handler_that_never_reads(tcp().await).await;
}

#[tokio::test(start_paused = true)]
async fn c15_nothing_is_left_of_a_handler_that_never_reads_pair() {
    of_a_handler_that_never_reads(memory().await).await;
}

async fn with_a_stuck_consumer((nodes, mut reached): (Nodes, Reached)) {
    let peer = nodes.a_to_b();
    for read in [0, 1] {
        let mut stream = peer.stream(SENDS, OUT_1, "x").await.unwrap();
        reached.expect("began").await;
        for _ in 0..read {
            assert!(recv(&mut stream).await.unwrap().is_ok());
        }
        // By then there is an item again that nobody takes, and a handler that waits to send more.
        nodes.calls_work(2).await;
        let watch = nodes.watch();
        stream.cancel_handle().cancel();
        assert_eq!(peer.stats().open_streams, 0, "the mux is gone at once");
        reached.expect("gone").await;
        nodes.settled().await;
        watch.within_a_second();
        let end = recv(&mut stream).await.unwrap().unwrap_err();
        assert!(matches!(end, CallError::Cancelled), "{end:?}");
        assert_eq!(end.to_string(), "cancelled");
        assert!(recv(&mut stream).await.is_none());
    }
}

#[tokio::test]
async fn c16_a_stuck_consumer_learns_of_its_cancel_later() {
    with_a_stuck_consumer(tcp().await).await;
}

#[tokio::test(start_paused = true)]
async fn c16_a_stuck_consumer_learns_of_its_cancel_later_pair() {
    with_a_stuck_consumer(memory().await).await;
}

async fn dropped_unread((nodes, mut reached): (Nodes, Reached)) {
    for handler in [SENDS, DEAF] {
        for half in [false, true] {
            let capacity = if handler == DEAF { BOTH_1 } else { OUT_1 };
            let stream = nodes.a_to_b().stream(handler, capacity, "x").await.unwrap();
            reached.expect("began").await;
            nodes.calls_work(2).await;
            let watch = nodes.watch();
            let kept = if half {
                let (sender, receiver) = stream.split();
                drop(receiver);
                Some(sender)
            } else {
                drop(stream);
                None
            };
            assert_eq!(nodes.a_to_b().stats().open_streams, 0);
            reached.expect("gone").await;
            nodes.settled().await;
            watch.within_a_second();
            drop(kept);
        }
    }
}

#[tokio::test]
async fn c17_a_stream_that_is_dropped_unread_leaves_nothing() {
    dropped_unread(tcp().await).await;
}

#[tokio::test(start_paused = true)]
async fn c17_a_stream_that_is_dropped_unread_leaves_nothing_pair() {
    dropped_unread(memory().await).await;
}
