//! T01: spans of what is dropped.

use std::sync::{Arc, Mutex};

use grid_transport::{Capacity, StreamHandler, testing};
use tracing::Level;

use crate::{checks::ended, probe::*, record::Spans, spans::STUCK};

/// Nobody is left to see the end of a stream whose receiver is gone, however long its sender is kept.
#[tokio::test(start_paused = true)]
async fn t01_the_span_of_a_stream_ends_with_its_receiver_pair() {
    ends(async {
        let (spans, _guard) = Spans::capture(Level::DEBUG);
        let pair = pair().await;
        spans.clear();
        for finished in [false, true] {
            let stream = pair
                .a_to_b()
                .stream(TWO_WAY_100, BOTH_100, "abc")
                .await
                .unwrap();
            let (mut sender, receiver) = stream.split();
            sender.send("item").await.unwrap();
            if finished {
                sender.finish();
            }
            assert!(!spans.named("grid.stream")[0].closed);
            drop(receiver);
            let span = spans.stream("client");
            ended(&span, 0, 7, "cancelled");
            drop(sender);
            // It is told once.
            assert_eq!(spans.stream("client").fields, span.fields);
            pair.a_to_b().request(ECHO, "fence").await.unwrap();
            spans.clear();
        }
        // The other half alone is nobody who could see the end, and the end is not there yet.
        let stream = pair.a_to_b().stream(TWO_WAY_100, BOTH_100, "abc").await;
        let (sender, mut receiver) = stream.unwrap().split();
        drop(sender);
        assert!(!spans.named("grid.stream")[0].closed);
        assert!(receiver.recv().await.unwrap().is_err());
        ended(&spans.stream("client"), 0, 3, "cancelled");
    })
    .await;
}

/// Calls something when it is dropped.
struct OnDrop<F: Fn()>(F);

impl<F: Fn()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

/// What a handler's values log when it is dropped at an await point belongs to its call, as what it logs itself.
#[tokio::test(start_paused = true)]
async fn t01_a_handler_is_dropped_inside_of_its_span_pair() {
    ends(async {
        let (spans, _guard) = Spans::capture(Level::DEBUG);
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (inside, all) = (spans.clone(), seen.clone());
        let look = move || {
            let name = inside.inside().map(|span| span.name);
            all.lock().unwrap().push(name);
        };
        let pair = testing::pair(move |builder| {
            let look = look.clone();
            let stuck = StreamHandler::new(STUCK, Capacity::new(0, 1), move |call| {
                let kept = OnDrop(look.clone());
                async move {
                    std::future::pending::<()>().await;
                    drop((kept, call));
                    Ok(())
                }
            });
            probe(builder).register(stuck)
        })
        .await
        .unwrap();
        let stream = pair.a_to_b().stream(STUCK, OUT_1, "x").await.unwrap();
        pair.a_to_b().request(ECHO, "fence").await.unwrap();
        drop(stream);
        wait_while(|| seen.lock().unwrap().is_empty()).await;
        assert_eq!(*seen.lock().unwrap(), [Some("grid.stream")]);
    })
    .await;
}
