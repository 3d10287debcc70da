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
    nodes::{Nodes, drain, recv, soon},
    probe::{BOTH_1, LONG, TWO_WAY, probe, text},
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

const FLOOD: HandlerId = HandlerId::new(201);

/// Sends as many items as it is asked for, as fast as it is let.
fn flood(builder: Builder) -> Builder {
    probe(builder).stream(FLOOD, OUT_MANY, |call| async move {
        let count: u64 = text(call.payload()).parse()?;
        for number in 0..count {
            let mut item = vec![7; ITEM];
            item[..8].copy_from_slice(&number.to_be_bytes());
            call.send(item).await?;
        }
        Ok(())
    })
}

/// Both streams work side by side; returns how often an item of the small one was answered
/// meanwhile, and the most bytes that came before an answer.
async fn beside_a_flood(nodes: Nodes, count: u64) -> (usize, u64) {
    let peer = nodes.a_to_b();
    let open = peer.stream(FLOOD, OUT_MANY, count.to_string());
    let mut large = open.await.unwrap();
    let reading = tokio::spawn(async move {
        let (items, end) = drain(&mut large).await;
        assert!(end.is_none(), "{end:?}");
        assert_eq!(items.len() as u64, count);
        for (number, item) in (0_u64..).zip(&items) {
            assert_eq!(item.as_slice()[..8], number.to_be_bytes());
        }
    });
    let mut small = peer.stream(TWO_WAY, BOTH_1, "x").await.unwrap();
    let (mut most, mut exchanges) = (0, 0);
    while !reading.is_finished() {
        let before = peer.stats().bytes_in;
        small.send("item").await.unwrap();
        let echo = recv(&mut small).await.unwrap().unwrap();
        assert_eq!(echo, Payload::from("item"));
        most = most.max(peer.stats().bytes_in - before);
        exchanges += 1;
    }
    soon(reading).await.unwrap();
    small.finish();
    assert!(recv(&mut small).await.is_none(), "a clean end");
    nodes.settled().await;
    (exchanges, most)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c12_a_small_stream_works_beside_a_flood() {
    let count = scaled("C12", "items of the flood", 5_000, 100_000);
    let (exchanges, _) = beside_a_flood(Nodes::tcp(flood).await, count).await;
    assert!(exchanges > 0);
}

/// What is ahead of it is what is on the way already, whatever the large one has credit for: that
/// would be all of its 80 MiB at once.
#[tokio::test(start_paused = true)]
async fn c12_a_small_stream_works_beside_a_flood_pair() {
    let nodes = Nodes::memory(flood).await;
    let (exchanges, most) = beside_a_flood(nodes, 20_000).await;
    assert!(exchanges > 10, "{exchanges} while the flood lasts");
    assert!(most < 12 << 20, "{most} bytes came before an answer");
}
