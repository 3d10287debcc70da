//! A stream with much under way beside one with little (C12).

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use grid_transport::{Builder, Capacity, Connection, HandlerId, Payload};
use tokio::{task::JoinHandle, time::sleep};

use crate::{
    nodes::{Nodes, recv, soon},
    probe::{BOTH_1, LONG, TWO_WAY, probe},
    scale::scaled,
};

const MANY: HandlerId = HandlerId::new(200);
const OUT_MANY: Capacity = Capacity::new(0, 100_000);
const ITEM: usize = 4096;
const PAUSE: Duration = Duration::from_millis(1);

/// Sends items without end, each of which begins with its number.
fn many(builder: Builder) -> Builder {
    probe(builder).stream(MANY, OUT_MANY, |call| async move {
        for number in 0_u64.. {
            let mut item = vec![7; ITEM];
            item[..8].copy_from_slice(&number.to_be_bytes());
            call.send(item).await?;
            // tidy: sleep: a load of a known size, the same as the one it is compared with
            sleep(PAUSE).await;
        }
        Ok(())
    })
}

/// A stream of the nodes that is read until it is told to stop; returns how many items came.
async fn load(peer: &Connection) -> (Arc<AtomicBool>, JoinHandle<u64>) {
    let stop = Arc::new(AtomicBool::new(false));
    let mut stream = peer.stream(MANY, OUT_MANY, "x").await.unwrap();
    let stopped = stop.clone();
    let reading = tokio::spawn(async move {
        let mut number = 0_u64;
        while !stopped.load(Ordering::Relaxed) {
            let item = recv(&mut stream).await.unwrap().unwrap();
            assert_eq!(item.as_slice()[..8], number.to_be_bytes(), "in order");
            assert_eq!(item.len(), ITEM);
            number += 1;
        }
        number
    });
    (stop, reading)
}

/// The same bytes in the same rhythm over a TCP connection of two other threads.
struct Unrelated {
    stop: Arc<AtomicBool>,
    threads: [thread::JoinHandle<()>; 2],
}

impl Unrelated {
    fn begin() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut from = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (mut to, _) = listener.accept().unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let writing = thread::spawn(move || {
            let chunk = vec![7; ITEM];
            while !stopped.load(Ordering::Relaxed) {
                from.write_all(&chunk).unwrap();
                // tidy: sleep: the rhythm of the load
                thread::sleep(PAUSE);
            }
        });
        let reading = thread::spawn(move || {
            let mut buffer = vec![0; 16 * ITEM];
            while to.read(&mut buffer).unwrap() > 0 {}
        });
        Self {
            stop,
            threads: [writing, reading],
        }
    }

    fn end(self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads {
            thread.join().unwrap();
        }
    }
}

/// The 99th percentile of the time that an item takes there and back on a stream with OUT 1.
async fn small_p99(peer: &Connection, items: usize) -> Duration {
    let open = peer.stream(TWO_WAY, BOTH_1, "x").timeout(LONG);
    let mut stream = open.await.unwrap();
    let mut took = Vec::new();
    for item in 0..items {
        let began = Instant::now();
        stream.send(item.to_string()).await.unwrap();
        let echo = recv(&mut stream).await.unwrap().unwrap();
        took.push(began.elapsed());
        assert_eq!(echo, Payload::from(item.to_string()));
    }
    stream.finish();
    assert!(recv(&mut stream).await.is_none(), "a clean end");
    took.sort_unstable();
    took[took.len() * 99 / 100]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c12_a_small_stream_is_as_quick_beside_a_large_one() {
    let nodes = Nodes::tcp(many).await;
    let peer = nodes.a_to_b();
    let items = scaled("C12", "items a round", 200, 5_000);
    small_p99(&peer, items).await;
    let mut ratios = Vec::new();
    for _ in 0..41 {
        let (stop, reading) = load(&peer).await;
        let beside = small_p99(&peer, items).await;
        stop.store(true, Ordering::Relaxed);
        assert!(soon(reading).await.unwrap() > 0);
        nodes.settled().await;

        let unrelated = Unrelated::begin();
        let alone = small_p99(&peer, items).await;
        unrelated.end();
        ratios.push(beside.as_secs_f64() / alone.as_secs_f64());
    }
    ratios.sort_by(f64::total_cmp);
    let median = ratios[ratios.len() / 2];
    assert!(median <= 2.0, "{ratios:.2?}");
}
