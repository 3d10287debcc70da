//! L20: two grids behind one listener, of which one is flooded.

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
    time::{Instant, timeout},
};

use crate::{
    node::{A, B, Redirect, builder, connected},
    probe::*,
    raw::PATIENCE,
    scale::scaled,
};

const ATTEMPTS: usize = 6;
const ROUNDS: usize = 5;
const ROUND: Duration = Duration::from_millis(150);

/// A thread with a runtime of its own, as a process of its own would have; ends when it is dropped.
struct Process {
    handle: Handle,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Process {
    fn new() -> Self {
        let (stop, stopped) = oneshot::channel::<()>();
        let runtime = runtime::Builder::new_current_thread()
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

/// Echoes over the grid, until it is told to stop.
async fn flood_grid(peer: Connection, size: usize, stop: Arc<AtomicBool>) -> usize {
    let mut echoes = 0;
    while !stop.load(Ordering::Relaxed) {
        let answer = peer
            .request(ECHO, vec![7; size])
            .timeout(LONG)
            .await
            .unwrap();
        assert_eq!(answer.len(), size);
        echoes += 1;
    }
    echoes
}

/// The same over a TCP connection that has nothing to do with it.
async fn flood_tcp(address: SocketAddr, size: usize, stop: Arc<AtomicBool>) -> usize {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let mut answer = vec![0; size];
    let sent = vec![7; size];
    let mut echoes = 0;
    while !stop.load(Ordering::Relaxed) {
        stream.write_all(&sent).await.unwrap();
        stream.read_exact(&mut answer).await.unwrap();
        echoes += 1;
    }
    echoes
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

fn p99(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() * 99 / 100]
}

#[tokio::test]
async fn l20_a_flood_on_one_grid_leaves_the_other_alone() {
    ends(async {
        let size = scaled("L20", "KiB in each message of the flood", 128, 1_024) * 1_024;
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

        let round = async |grid: bool| {
            let stop = Arc::new(AtomicBool::new(false));
            let (flooded, stopped) = (flooded.clone(), stop.clone());
            let flood = flooder.handle.spawn(async move {
                if grid {
                    flood_grid(flooded, size, stopped).await
                } else {
                    flood_tcp(unrelated, size, stopped).await
                }
            });
            let peer = other.clone();
            let measured = caller.handle.spawn(async move { small_calls(&peer).await });
            let measured = timeout(PATIENCE, measured).await.expect("hangs").unwrap();
            stop.store(true, Ordering::Relaxed);
            let echoes = timeout(PATIENCE, flood).await.expect("hangs").unwrap();
            assert!(echoes > 0);
            measured
        };
        // In turn, so that the machine is the same for both; and not for the first that comes out badly, as others use it.
        let mut tried = Vec::new();
        for _ in 0..ATTEMPTS {
            let (mut beside_grid, mut beside_tcp) = (Vec::new(), Vec::new());
            for _ in 0..ROUNDS {
                beside_grid.extend(round(true).await);
                beside_tcp.extend(round(false).await);
            }
            tried.push((p99(beside_grid), p99(beside_tcp)));
            if tried.last().is_some_and(|(grid, tcp)| *grid <= 2 * *tcp) {
                break;
            }
        }
        assert!(
            tried.last().is_some_and(|(grid, tcp)| *grid <= 2 * *tcp),
            "beside the grid and beside TCP: {tried:?}"
        );
        for manager in [a1, a2, b1, b2] {
            manager.shutdown(Duration::ZERO).await;
        }
    })
    .await;
}
