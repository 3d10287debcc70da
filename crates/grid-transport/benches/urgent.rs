//! What marking a call or a stream as urgent is worth beside bulk data: calls of 100 bytes, urgent and not in turn, while
//! sixteen callers fetch answers of 1 MiB over the same connection; and items of 100 bytes there and back, on a stream that
//! is urgent and one that isn't in turn, while sixteen streams bring items of 1 MiB.
//!
//! `cargo bench -p grid-transport --bench urgent` prints both times and their ratio, of each: with the defaults, and where the
//! system may hold 128 KiB unread (`receive_buffer`); and how much bulk came meanwhile, as that is the price. Both nodes
//! are in this process, joined over loopback.
#![allow(
    clippy::print_stdout,
    reason = "what it measures is all that it is for"
)]

use std::{
    error::Error,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use grid_transport::{
    Capacity, Connection, HandlerId, Manager, NoAuth, Payload, Serving, Settings, SingleHandler,
    Stream, StreamHandler,
};
use tokio::{
    net::TcpListener,
    runtime::{Builder, Runtime},
    task::JoinSet,
};

const BULK: HandlerId = HandlerId::new(200);
const PLAIN: HandlerId = HandlerId::new(201);
const URGENT: HandlerId = HandlerId::new(202);
const BULK_STREAM: HandlerId = HandlerId::new(210);
const PLAIN_STREAM: HandlerId = HandlerId::new(211);
const URGENT_STREAM: HandlerId = HandlerId::new(212);
const CAPACITY: Capacity = Capacity::new(1, 1);
const LARGE: usize = 1 << 20;
const CALLERS: usize = 16;
const CALLS: usize = 400;

async fn nodes(settings: &Settings) -> Result<(Vec<Manager>, Vec<Serving>), Box<dyn Error>> {
    let sockets = [
        TcpListener::bind("127.0.0.1:0").await?,
        TcpListener::bind("127.0.0.1:0").await?,
    ];
    let mut names = Vec::new();
    for socket in &sockets {
        names.push(format!("http://{}", socket.local_addr()?));
    }
    let (mut nodes, mut serving) = (Vec::new(), Vec::new());
    for (socket, name) in sockets.into_iter().zip(&names) {
        let large = Payload::from(vec![7; LARGE]);
        let item = large.clone();
        let echo = |id| SingleHandler::new(id, |request| async move { Ok(request.into_payload()) });
        let echo_items = |id| {
            StreamHandler::new(id, CAPACITY, |mut call| async move {
                while let Some(item) = call.recv().await {
                    call.send(item?).await?;
                }
                Ok(())
            })
        };
        let node = Manager::builder(name)
            .peers(names.clone())
            .auth(NoAuth)
            .settings(settings.clone())
            .single(BULK, move |_| {
                let large = large.clone();
                async move { Ok(large) }
            })
            .register(echo(PLAIN))
            .register(echo(URGENT).urgent())
            .register(StreamHandler::new(BULK_STREAM, CAPACITY, move |call| {
                let item = item.clone();
                async move {
                    loop {
                        call.send(item.clone()).await?;
                    }
                }
            }))
            .register(echo_items(PLAIN_STREAM))
            .register(echo_items(URGENT_STREAM).urgent())
            .build()?;
        serving.push(node.serve(socket)?);
        nodes.push(node);
    }
    Ok((nodes, serving))
}

/// The times of what is plain and of what is urgent.
type Times = [Vec<Duration>; 2];

/// What came meanwhile, in pieces of 1 MiB.
#[derive(Clone, Default)]
struct Bulk(Arc<AtomicU32>);

async fn calls(peer: &Connection, came: &Bulk) -> Result<Times, Box<dyn Error>> {
    let mut bulk = JoinSet::new();
    for _ in 0..CALLERS {
        let (peer, came) = (peer.clone(), came.clone());
        bulk.spawn(async move {
            while peer.request(BULK, "").await.is_ok() {
                came.0.fetch_add(1, Relaxed);
            }
        });
    }
    let mut times = Times::default();
    for _ in 0..CALLS {
        for (urgent, times) in times.iter_mut().enumerate() {
            let began = Instant::now();
            let payload = vec![1; 100];
            match urgent {
                0 => peer.request(PLAIN, payload).await?,
                _ => peer.request(URGENT, payload).urgent().await?,
            };
            times.push(began.elapsed());
        }
    }
    bulk.shutdown().await;
    Ok(times)
}

async fn items(peer: &Connection, came: &Bulk) -> Result<Times, Box<dyn Error>> {
    let plain = peer.stream(PLAIN_STREAM, CAPACITY, "").await?;
    let urgent = peer.stream(URGENT_STREAM, CAPACITY, "").urgent().await?;
    let mut bulk = JoinSet::new();
    for _ in 0..CALLERS {
        let mut stream = peer.stream(BULK_STREAM, CAPACITY, "").await?;
        let came = came.clone();
        bulk.spawn(async move {
            while let Some(Ok(_)) = stream.recv().await {
                came.0.fetch_add(1, Relaxed);
            }
        });
    }
    let mut streams = [plain, urgent];
    let mut times = Times::default();
    for _ in 0..CALLS {
        for (stream, times) in streams.iter_mut().zip(&mut times) {
            let began = Instant::now();
            exchange(stream).await?;
            times.push(began.elapsed());
        }
    }
    bulk.shutdown().await;
    Ok(times)
}

/// An item there and back.
async fn exchange(stream: &mut Stream) -> Result<(), Box<dyn Error>> {
    stream.send(vec![1; 100]).await?;
    stream.recv().await.ok_or("the stream has ended")??;
    Ok(())
}

fn print(name: &str, times: Times, came: &Bulk, elapsed: Duration) {
    let [plain, urgent] = times.map(|mut times| {
        times.sort_unstable();
        times
    });
    for (quantile, at) in [("p50", CALLS / 2), ("p99", CALLS * 99 / 100)] {
        let [plain, urgent] =
            [&plain, &urgent].map(|times| times.get(at).map_or(0.0, Duration::as_secs_f64));
        println!(
            "{name}, {quantile}: {:.2} ms, urgent {:.2} ms, which is {:.3} of it",
            plain * 1e3,
            urgent * 1e3,
            urgent / plain,
        );
    }
    let rate = f64::from(came.0.load(Relaxed)) / elapsed.as_secs_f64();
    println!("{name}, bulk: {rate:.0} MiB/s");
}

fn run(name: &str, runtime: &Runtime, settings: &Settings) -> Result<(), Box<dyn Error>> {
    runtime.block_on(async {
        let (nodes, _serving) = nodes(settings).await?;
        let [near, far] = nodes.as_slice() else {
            return Err("two nodes".into());
        };
        let peer = near.connection(far.local())?;
        peer.connected().await?;
        let (came, began) = (Bulk::default(), Instant::now());
        let times = calls(&peer, &came).await?;
        print(&format!("calls {name}"), times, &came, began.elapsed());
        let (came, began) = (Bulk::default(), Instant::now());
        let times = items(&peer, &came).await?;
        print(&format!("items {name}"), times, &came, began.elapsed());
        for node in &nodes {
            node.shutdown(Duration::ZERO).await;
        }
        Ok(())
    })
}

fn main() -> Result<(), Box<dyn Error>> {
    for _ in 0..3 {
        for (unread, receive_buffer) in [("", None), (", 128 KiB unread", Some(128 << 10))] {
            let settings = Settings::new().receive_buffer(receive_buffer);
            let threads = Builder::new_multi_thread().enable_all().build()?;
            run(&format!("mt{unread}"), &threads, &settings)?;
            let current = Builder::new_current_thread().enable_all().build()?;
            run(&format!("ct{unread}"), &current, &settings)?;
        }
    }
    Ok(())
}
