//! Many calls and streams at once (C05, C07).

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use grid_transport::CallError;
use tokio::task::JoinSet;

use crate::{
    nodes::{Nodes, drain, memory, soon, tcp},
    probe::{ECHO, FAIL, ITEMS, ITEMS_100, LONG, OUT_1, OUT_100, text},
    scale::scaled,
};

async fn half_of_them_fail(nodes: Nodes) {
    let mut calls = JoinSet::new();
    for call in 0..10_000_u32 {
        let [there, back] = nodes.both();
        let peer = if call % 4 < 2 { there } else { back };
        calls.spawn(async move {
            let padded = format!("{call:<4096}");
            if call % 2 == 0 {
                let answer = peer.request(ECHO, padded.clone()).timeout(LONG).await;
                assert_eq!(text(&answer.unwrap()), padded);
            } else {
                let answer = peer.request(FAIL, padded.clone()).timeout(LONG).await;
                let error = answer.unwrap_err();
                assert!(
                    matches!(&error, CallError::Remote(text) if *text == *padded),
                    "{call}: {error:?}"
                );
            }
        });
    }
    let mut done = 0;
    while let Some(call) = soon(calls.join_next()).await {
        call.unwrap();
        done += 1;
    }
    assert_eq!(done, 10_000);
    nodes.settled().await;
}

#[tokio::test]
async fn c05_every_error_is_that_of_its_call() {
    half_of_them_fail(tcp().await).await;
}

#[tokio::test(start_paused = true)]
async fn c05_every_error_is_that_of_its_call_pair() {
    half_of_them_fail(memory().await).await;
}

/// Keeps all processors busy until it is dropped.
struct Busy(Arc<AtomicBool>, Vec<thread::JoinHandle<()>>);

impl Busy {
    fn all_processors() -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let processors = thread::available_parallelism().unwrap().get();
        let spin = |_| {
            let stop = stop.clone();
            thread::spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    std::hint::spin_loop();
                }
            })
        };
        let threads = (0..processors).map(spin).collect();
        Self(stop, threads)
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
        for thread in self.1.drain(..) {
            thread.join().unwrap();
        }
    }
}

async fn whole_and_in_order(nodes: Nodes) {
    let busy = Busy::all_processors();
    let count = scaled("C07", "streams", 300, 10_000);
    let mut streams = JoinSet::new();
    for index in 0..count {
        let [there, back] = nodes.both();
        let peer = if index % 4 < 2 { there } else { back };
        let (handler, capacity) = match index % 2 {
            0 => (ITEMS, OUT_1),
            _ => (ITEMS_100, OUT_100),
        };
        streams.spawn(async move {
            let mut stream = peer.stream(handler, capacity, "100").await.unwrap();
            let (items, end) = drain(&mut stream).await;
            assert!(end.is_none(), "{end:?}");
            assert_eq!(items.len(), 100);
            for (number, item) in items.iter().enumerate() {
                assert_eq!(item.as_slice(), [number as u8; 4]);
            }
        });
    }
    let mut done = 0;
    while let Some(stream) = soon(streams.join_next()).await {
        stream.unwrap();
        done += 1;
    }
    assert_eq!(done, count);
    drop(busy);
    nodes.settled().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c07_streams_are_whole_and_in_order_on_a_busy_machine() {
    whole_and_in_order(tcp().await).await;
}

#[tokio::test(start_paused = true)]
async fn c07_streams_are_whole_and_in_order_on_a_busy_machine_pair() {
    whole_and_in_order(memory().await).await;
}
