//! Loads of hostile peers, and how they are sent.

use std::{
    io::{self, BufRead, BufReader, Read},
    net::SocketAddr,
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use futures_util::future::join_all;
use grid_proto::{
    MuxId,
    wire::{Message, Op},
};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tokio::{
    io::{AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    runtime::Builder,
    sync::watch,
    time::{Instant, sleep, sleep_until, timeout},
};
use tokio_util::sync::CancellationToken;

use crate::{
    node::A,
    raw::{Frame, PATH, PATIENCE, request, upgrade_request},
};

/// What arrives: what each connection says behind its handshake, and how many of them there are at one time.
#[derive(Clone)]
pub(super) struct Load {
    pub(super) name: &'static str,
    /// Whether the connection is one of a peer with a valid token, or of a stranger.
    pub(super) inside: bool,
    pub(super) connections: usize,
    pub(super) script: Vec<u8>,
    /// Said again and again, a byte at a time with a pause between.
    pub(super) drips: bool,
    /// The test whose process it comes from, where this one may not open as many files.
    pub(super) process: Option<&'static str>,
}

/// The address that a process with a load of its own sends it to.
const TARGET: &str = "GRID_LOAD_TARGET";

/// What such a process says, with how many connections are open.
const OPEN: &str = "connections that are open: ";

impl Load {
    /// In a process that was started for the load: sends it until the other process has had enough.
    pub(super) fn send_from_here(&self) -> bool {
        let Ok(target) = std::env::var(TARGET) else {
            return false;
        };
        raise_open_files(self.connections as u64 + 1_000);
        let load = Arc::new(self.clone());
        let stop = CancellationToken::new();
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let pace = Arc::new(Pace::default());
        let sending = runtime.spawn(arrive(
            load,
            pace.clone(),
            target.parse().unwrap(),
            stop.clone(),
        ));
        let all = self.connections as u64;
        runtime.block_on(async {
            // Far longer than it takes; the other process fails without it.
            let mut open = pace.open.subscribe();
            let _ = timeout(PATIENCE, open.wait_for(|open| *open == all)).await;
            println!("{OPEN}{}", *pace.open.borrow());
        });
        let _ = io::stdin().read_to_end(&mut Vec::new());
        stop.cancel();
        runtime.block_on(sending).unwrap();
        true
    }

    /// Starts a process that sends it; returns when all of its connections are open at the same time.
    pub(super) fn begin_elsewhere(&self, test: &str, target: SocketAddr) -> Child {
        let mut process = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", test, "--nocapture"])
            .env(TARGET, target.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = BufReader::new(process.stdout.take().unwrap());
        let open = said
            .by_ref()
            .lines()
            .map_while(Result::ok)
            .find_map(|line| {
                let (_, open) = line.split_once(OPEN)?;
                open.parse::<usize>().ok()
            });
        assert_eq!(open, Some(self.connections), "{}", self.name);
        // It has more to say, which somebody has to be able to hear.
        process.stdout = Some(said.into_inner());
        process
    }
}

/// What a connection says to become one of a link.
fn greeting(name: &str) -> Vec<u8> {
    let mut bytes = format!("{}\r\n\r\n", upgrade_request(PATH).join("\r\n")).into_bytes();
    let mut payload = Vec::new();
    request(name, "debug").encode(&mut payload);
    let mut message = Vec::new();
    Message {
        payload: payload.into(),
        ..Message::new(Op::Connect, MuxId::CONNECTION)
    }
    .encode(&mut message);
    bytes.extend(Frame::binary(message, true).encode());
    bytes
}

/// How fast a load goes, and how much of it went.
#[derive(Default)]
pub(super) struct Pace {
    pub(super) sent: AtomicU64,
    /// Scripts that went in from their beginning to where the other end hung up, which is behind their end unless it is
    /// what it does not put up with.
    pub(super) scripts: AtomicU64,
    /// Connections at this moment.
    pub(super) open: watch::Sender<u64>,
    /// Bytes a second at most.
    pub(super) most: Option<f64>,
}

impl Pace {
    async fn write(&self, into: &mut (impl AsyncWrite + Unpin), bytes: &[u8]) -> io::Result<()> {
        let began = Instant::now();
        let mut written = 0;
        for piece in bytes.chunks(4 * 1024) {
            into.write_all(piece).await?;
            written += piece.len();
            self.sent.fetch_add(piece.len() as u64, Ordering::Relaxed);
            if let Some(most) = self.most {
                let due = began + Duration::from_secs_f64(written as f64 / most);
                // tidy: sleep: the pace is the load
                sleep_until(due).await;
            }
        }
        Ok(())
    }
}

/// One round of it: all connections are made, say what they say, and are held until `stop` or the other end closes.
pub(super) async fn arrive(
    load: Arc<Load>,
    pace: Arc<Pace>,
    address: SocketAddr,
    stop: CancellationToken,
) {
    while !stop.is_cancelled() {
        let connections = (0..load.connections).map(|_| one(&load, &pace, address, &stop));
        join_all(connections).await;
    }
}

async fn one(load: &Load, pace: &Pace, address: SocketAddr, stop: &CancellationToken) {
    let Ok(mut socket) = TcpStream::connect(address).await else {
        return;
    };
    pace.open.send_modify(|open| *open += 1);
    let _ = socket.set_nodelay(true);
    let (mut read, mut write) = socket.split();
    let say = async {
        if load.drips {
            for byte in load.script.iter().cycle() {
                if write.write_all(&[*byte]).await.is_err() {
                    return;
                }
                // tidy: sleep: dripping is the load
                sleep(Duration::from_millis(20)).await;
            }
        }
        if load.inside && pace.write(&mut write, &greeting(A)).await.is_err() {
            return;
        }
        // Who has hung up is heard.
        let said = pace.write(&mut write, &load.script).await.is_ok();
        if load.inside && said {
            let _ = write.shutdown().await;
        }
        stop.cancelled().await;
    };
    let mut sink = [0; 4096];
    let hear = async { while matches!(read.read(&mut sink).await, Ok(1..)) {} };
    tokio::select! {
        () = say => {}
        () = hear => drop(pace.scripts.fetch_add(1, Ordering::Relaxed)),
        () = stop.cancelled() => {}
    }
    pace.open.send_modify(|open| *open -= 1);
}

/// Reads whatever comes, and answers nothing.
pub(super) async fn unrelated() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut sink = vec![0; 64 * 1024];
                while matches!(socket.read(&mut sink).await, Ok(1..)) {}
            });
        }
    });
    address
}

/// How many files may be open, where more were wanted.
pub(super) fn raise_open_files(wanted: u64) -> u64 {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    if soft < wanted {
        // Only some may have more than the hard limit.
        let _ = setrlimit(Resource::RLIMIT_NOFILE, wanted, hard.max(wanted))
            .or_else(|_| setrlimit(Resource::RLIMIT_NOFILE, hard, hard));
    }
    getrlimit(Resource::RLIMIT_NOFILE).unwrap().0
}
