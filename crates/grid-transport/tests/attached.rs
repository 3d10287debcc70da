//! Handlers that are attached to a session end with their node, whatever else is stuck or broken.

mod probe;

use std::{
    future::{Future, IntoFuture, pending},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    task::{Context, Wake, Waker},
    time::Duration,
};

use grid_transport::{
    Capacity, HandlerId, Payload, Settings, SingleHandler, StreamHandler, testing,
};
use probe::*;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

const HANGS: HandlerId = HandlerId::new(210);
const BLOCKS: HandlerId = HandlerId::new(211);

/// Says that it was dropped.
struct Tells(Arc<AtomicBool>);

impl Drop for Tells {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// A handler of streams that waits for ever, and what is known of it.
struct Hanging {
    dropped: Arc<AtomicBool>,
    sender: UnboundedSender<()>,
    began: UnboundedReceiver<()>,
}

impl Hanging {
    fn new() -> Self {
        let (sender, began) = unbounded_channel();
        Self {
            dropped: Arc::default(),
            sender,
            began,
        }
    }

    fn handler(&self) -> StreamHandler {
        let (dropped, began) = (self.dropped.clone(), self.sender.clone());
        StreamHandler::new(HANGS, Capacity::new(0, 1), move |call| {
            let (tells, began) = (Tells(dropped.clone()), began.clone());
            async move {
                let _held = (call, tells);
                // Where it runs from here on is a task of its own.
                tokio::task::yield_now().await;
                began.send(()).unwrap();
                pending().await
            }
        })
    }

    fn assert_dropped(&self) {
        assert!(
            self.dropped.load(Ordering::SeqCst),
            "shutdown has returned, and a handler at an await point lives on"
        );
    }
}

fn settings() -> Settings {
    Settings::new().teardown(Duration::from_millis(200))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_blocked_thread_of_the_links_keeps_no_handler_that_waits() {
    ends(async {
        let mut hanging = Hanging::new();
        let (release, blocked) = mpsc::channel::<()>();
        let blocked = Arc::new(Mutex::new(blocked));
        let pair = testing::pair(|builder| {
            let (blocked, began) = (blocked.clone(), hanging.sender.clone());
            builder
                .settings(settings().own_worker(true))
                .register(hanging.handler())
                .register(SingleHandler::new(BLOCKS, move |_| {
                    let (blocked, began) = (blocked.clone(), began.clone());
                    async move {
                        began.send(()).unwrap();
                        // A fault of a handler that was not registered as blocking.
                        let _ = blocked.lock().unwrap().recv();
                        Ok(Payload::Absent)
                    }
                }))
        });
        let pair = pair.await.unwrap();
        let peer = pair.a_to_b();
        let stream = peer.stream(HANGS, Capacity::new(0, 1), "x").await.unwrap();
        hanging.began.recv().await.unwrap();
        let call = tokio::spawn(peer.request(BLOCKS, "x").into_future());
        hanging.began.recv().await.unwrap();
        pair.b.shutdown(Duration::ZERO).await;
        hanging.assert_dropped();
        release.send(()).unwrap();
        drop((call.await, stream));
    })
    .await;
}

struct Bad;

impl Wake for Bad {
    fn wake(self: Arc<Self>) {
        panic!("a bad waker");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_waker_that_panics_keeps_no_handler_that_waits() {
    ends(async {
        let mut hanging = Hanging::new();
        let pair = testing::pair(|builder| {
            builder
                .settings(settings())
                .register(hanging.handler())
                .register(SingleHandler::new(BLOCKS, |_| pending()))
        });
        let pair = pair.await.unwrap();
        let peer = pair.a_to_b();
        let stream = peer.stream(HANGS, Capacity::new(0, 1), "x").await.unwrap();
        hanging.began.recv().await.unwrap();
        let mut call = Box::pin(pair.b_to_a().request(BLOCKS, "x").into_future());
        let waker = Waker::from(Arc::new(Bad));
        let polled = call.as_mut().poll(&mut Context::from_waker(&waker));
        assert!(polled.is_pending());
        pair.b.shutdown(Duration::ZERO).await;
        hanging.assert_dropped();
        drop(stream);
    })
    .await;
}
