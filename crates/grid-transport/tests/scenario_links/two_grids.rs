//! L20: two grids behind one listener, of which one is flooded.

#![allow(
    clippy::print_stdout,
    reason = "what was measured stands in the output of the test"
)]

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use grid_transport::{Builder, Connection, Listener, Manager};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    runtime::{self, Handle},
    sync::oneshot,
    time::{Instant, sleep_until, timeout},
};

use crate::{
    node::{A, B, Redirect, builder, connected},
    probe::*,
    raw::PATIENCE,
    scale::scaled,
};

/// Turns of each side. Where the first of them miss the bound others who work on this machine may be to blame, so more
/// are taken, and all count.
const ROUNDS: [usize; 2] = [10, 50];
const ROUND: Duration = Duration::from_millis(150);

/// The part of what the grid can echo that is echoed. Where no processor is to spare the system's scheduler is what is
/// measured.
const SHARE: f64 = 8.0;

/// A thread with a runtime of its own, as a process of its own would have; ends when it is dropped.
struct Process {
    handle: Handle,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Process {
    fn new() -> Self {
        let (stop, stopped) = oneshot::channel::<()>();
        // Not on one thread alone: with that the time of one message of the flood would be measured.
        let runtime = runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let handle = runtime.handle().clone();
        let thread = thread::spawn(move || {
            let _ = runtime.block_on(stopped);
        });
        Self {
            handle,
            stop: Some(stop),
            thread: Some(thread),
        }
    }

    fn node(&self, builder: Builder) -> Manager {
        let _inside = self.handle.enter();
        probe(builder).build().unwrap()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Echoes, and the time that they took.
#[derive(Clone, Copy, Default)]
struct Flooded {
    echoes: u32,
    took: Duration,
}

impl Flooded {
    fn add(&mut self, other: Self) {
        self.echoes += other.echoes;
        self.took += other.took;
    }

    /// Echoes a second.
    fn rate(self) -> f64 {
        f64::from(self.echoes) / self.took.as_secs_f64()
    }
}

/// Counts echoes that are made one after the other, so many a second or as many as there can be.
struct Pace {
    began: Instant,
    echoes: u32,
    rate: Option<f64>,
}

impl Pace {
    fn new(rate: Option<f64>) -> Self {
        Self {
            began: Instant::now(),
            echoes: 0,
            rate,
        }
    }

    async fn echoed(&mut self) {
        self.echoes += 1;
        if let Some(rate) = self.rate {
            // tidy: sleep: the pace is the load
            sleep_until(self.began + Duration::from_secs_f64(f64::from(self.echoes) / rate)).await;
        }
    }

    fn end(&self) -> Flooded {
        Flooded {
            echoes: self.echoes,
            took: self.began.elapsed(),
        }
    }
}

/// Echoes over the grid, until it is told to stop.
async fn flood_grid(
    peer: Connection,
    size: usize,
    rate: Option<f64>,
    stop: Arc<AtomicBool>,
) -> Flooded {
    let mut pace = Pace::new(rate);
    while !stop.load(Ordering::Relaxed) {
        let call = peer.request(ECHO, vec![7; size]).timeout(LONG);
        assert_eq!(call.await.unwrap().len(), size);
        pace.echoed().await;
    }
    pace.end()
}

/// The same over a TCP connection that has nothing to do with it.
async fn flood_tcp(address: SocketAddr, size: usize, rate: f64, stop: Arc<AtomicBool>) -> Flooded {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let mut answer = vec![0; size];
    let mut pace = Pace::new(Some(rate));
    while !stop.load(Ordering::Relaxed) {
        stream.write_all(&vec![7; size]).await.unwrap();
        stream.read_exact(&mut answer).await.unwrap();
        pace.echoed().await;
    }
    pace.end()
}

async fn echo_tcp(listener: TcpListener, size: usize) {
    while let Ok((mut stream, _)) = listener.accept().await {
        tokio::spawn(async move {
            stream.set_nodelay(true).unwrap();
            // As a grid does: a message is there as a whole before it is answered.
            let mut message = vec![0; size];
            while stream.read_exact(&mut message).await.is_ok() {
                if stream.write_all(&message).await.is_err() {
                    return;
                }
            }
        });
    }
}

/// How long small calls take, one after the other for a while.
async fn small_calls(peer: &Connection) -> Vec<Duration> {
    let until = Instant::now() + ROUND;
    let mut times = Vec::new();
    while Instant::now() < until {
        let began = Instant::now();
        peer.request(ECHO, vec![1; 100])
            .timeout(LONG)
            .await
            .unwrap();
        times.push(began.elapsed());
    }
    times
}

fn p99(times: &mut [Duration]) -> Duration {
    times.sort_unstable();
    times[times.len() * 99 / 100]
}

#[tokio::test]
async fn l20_a_flood_on_one_grid_leaves_the_other_alone() {
    ends(async {
        let size = scaled("L20", "KiB in each message of the flood", 80, 1_024) * 1_024;
        // As in life: the callers are elsewhere, and both grids of the node share one process.
        let (server, flooder, caller) = (Process::new(), Process::new(), Process::new());
        let second = |builder: Builder| builder.path("/minio/grid/lock/v1");
        let (b1, b2) = (
            server.node(builder(B, &[A])),
            server.node(second(builder(B, &[A]))),
        );
        let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let serving = Listener::new().route(&b1).route(&b2).serve(socket).unwrap();
        let address = serving.local_addr().unwrap();
        let a1 = flooder.node(builder(A, &[B]).dialer(Redirect(address)));
        let a2 = caller.node(second(builder(A, &[B])).dialer(Redirect(address)));
        let (flooded, other) = (a1.connection(B).unwrap(), a2.connection(B).unwrap());
        connected(&flooded).await;
        connected(&other).await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let unrelated = listener.local_addr().unwrap();
        let listener = listener.into_std().unwrap();
        server.handle.spawn(async move {
            echo_tcp(TcpListener::from_std(listener).unwrap(), size).await;
        });

        // Beside a flood of so many echoes a second over the grid or over TCP.
        let round = async |over_grid: bool, rate: Option<f64>, times: &mut Vec<Duration>| {
            let stop = Arc::new(AtomicBool::new(false));
            let (flooded, stopped) = (flooded.clone(), stop.clone());
            let flood = flooder.handle.spawn(async move {
                match rate {
                    Some(rate) if !over_grid => flood_tcp(unrelated, size, rate, stopped).await,
                    rate => flood_grid(flooded, size, rate, stopped).await,
                }
            });
            let peer = other.clone();
            let measured = caller.handle.spawn(async move { small_calls(&peer).await });
            times.extend(timeout(PATIENCE, measured).await.expect("hangs").unwrap());
            stop.store(true, Ordering::Relaxed);
            let flood = timeout(PATIENCE, flood).await.expect("hangs").unwrap();
            assert!(flood.echoes > 0);
            flood
        };
        // In turn, so that the machine is the same for both.
        let (mut beside_grid, mut beside_tcp) = (Vec::new(), Vec::new());
        let (mut grid, mut tcp) = (Flooded::default(), Flooded::default());
        let unbounded = round(true, None, &mut Vec::new()).await.rate();
        let pace = unbounded / SHARE;
        let [few, most] = ROUNDS;
        let mut rounds = 0;
        let ratio = loop {
            let flood = round(true, Some(pace), &mut beside_grid).await;
            grid.add(flood);
            tcp.add(round(false, Some(flood.rate()), &mut beside_tcp).await);
            rounds += 1;
            if rounds == few || rounds == most {
                let ratio = p99(&mut beside_grid).as_secs_f64() / p99(&mut beside_tcp).as_secs_f64();
                if ratio <= 2.0 || rounds == most {
                    break ratio;
                }
            }
        };
        let (grid, tcp) = (grid.rate(), tcp.rate());
        println!(
            "L20: {:?} against {:?} in {rounds} rounds, {ratio:.2}; {grid:.0} and {tcp:.0} echoes a second of {unbounded:.0}",
            p99(&mut beside_grid),
            p99(&mut beside_tcp)
        );
        assert!((0.7..=1.3).contains(&(tcp / grid)), "{tcp} echoes a second for {grid}");
        // A sanitizer slows one down more than the other.
        let judged = std::env::var_os("GRID_SANITIZER").is_none();
        assert!(!judged || ratio <= 2.0, "{ratio}");
        for manager in [a1, a2, b1, b2] {
            manager.shutdown(Duration::ZERO).await;
        }
    })
    .await;
}
