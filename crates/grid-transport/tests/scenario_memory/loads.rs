//! H19: what a hostile load costs the other peers: the p99 of their small calls stays within three times of what it is
//! while the same bytes arrive on sockets that have nothing to do with the node.

use std::{
    net::SocketAddr,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use grid_proto::{
    MuxId,
    wire::{Flags, Message, Op},
};
use grid_transport::{LinkStats, Manager, Settings};
use tokio::{
    runtime::{Builder, Runtime},
    time::{Instant, timeout},
};
use tokio_util::sync::CancellationToken;

use crate::{
    bulk::frame_head,
    hostile::{ECHO, NO_INPUT, STUCK, TWO_WAY, call, dialers, let_in, merged, numbered, serving},
    node::{self, A},
    raw::{PATH, PATIENCE, Raw, upgrade_request},
    scale::{in_full, scaled},
    sending::{Load, Pace, arrive, raise_open_files, unrelated},
};

/// Turns of each side. Where the first of them miss the bound others who work on this machine may be to blame, so more
/// are taken, and all count.
const ROUNDS: [usize; 2] = [8, 40];

/// Of what the node can take one part of so many arrives.
const SHARE: f64 = 8.0;

/// How much longer calls may take. In full that is the bound that is promised; a short run of a debug build on a machine
/// that others use can only tell whether the others are served at all.
fn bound() -> f64 {
    scaled("H19", "times as long at most", 30.0, 3.0)
}

/// Bytes a second that arrive at the least, however little the node takes.
const LEAST: f64 = 16.0 * 1024.0;

/// The times of small calls of another peer, one after the other.
async fn small_calls(raw: &mut Raw, calls: u64) -> Vec<Duration> {
    let mut times = Vec::new();
    for mux in 1..=calls {
        let began = Instant::now();
        raw.send_message(&call(Op::Request, ECHO, mux, "a small call"))
            .await;
        let answer = raw.read_message().await.unwrap();
        assert_eq!((answer.op, answer.mux), (Op::Response, MuxId::new(mux)));
        assert!(!answer.flags.contains(Flags::PAYLOAD_IS_ERR));
        times.push(began.elapsed());
    }
    times
}

/// What one side of a comparison has measured, in all of its rounds.
#[derive(Default)]
struct Side {
    times: Vec<Duration>,
    /// Sent, and of that what the node has read; much is thrown away where it hangs up.
    bytes: u64,
    read: u64,
    /// Scripts to their ends.
    scripts: u64,
    took: Duration,
}

impl Side {
    fn p99(&mut self) -> Duration {
        self.times.sort();
        self.times[self.times.len() * 99 / 100]
    }

    /// Bytes a second.
    fn rate(&self, bytes: u64) -> f64 {
        bytes as f64 / self.took.as_secs_f64()
    }
}

fn frames(messages: impl Iterator<Item = Message>) -> Vec<u8> {
    let messages: Vec<Message> = messages.collect();
    messages
        .chunks(100)
        .flat_map(|part| merged(part).encode())
        .collect()
}

struct Bench {
    node: Runtime,
    client: Runtime,
    attackers: Runtime,
    manager: Manager,
    address: SocketAddr,
    unrelated: SocketAddr,
    victim: Raw,
}

impl Bench {
    fn new(settings: Settings) -> Self {
        let runtime = |threads| {
            Builder::new_multi_thread()
                .worker_threads(threads)
                .enable_all()
                .build()
                .unwrap()
        };
        let (node, client, attackers) = (runtime(2), runtime(1), runtime(1));
        let names = dialers(1);
        let ((address, manager), unrelated) =
            node.block_on(async { (serving(settings, &names).await, unrelated().await) });
        let victim = client.block_on(let_in(address, &names[0]));
        Self {
            node,
            client,
            attackers,
            manager,
            address,
            unrelated,
            victim,
        }
    }

    /// Bytes of the hostile peer, once it is let in.
    fn read_by_node(&self) -> u64 {
        self.manager.connection(A).unwrap().stats().bytes_in
    }

    /// Calls of the victim while the load arrives at an address.
    fn during(
        &mut self,
        load: &Arc<Load>,
        address: SocketAddr,
        calls: u64,
        most: Option<f64>,
        side: &mut Side,
    ) {
        let stop = CancellationToken::new();
        let pace = Arc::new(Pace {
            most,
            ..Pace::default()
        });
        let elsewhere = load.process.map(|test| load.begin_elsewhere(test, address));
        let (began, read_before) = (Instant::now(), self.read_by_node());
        let task = match elsewhere {
            Some(_) => self.attackers.spawn(async {}),
            None => {
                let arrives = arrive(load.clone(), pace.clone(), address, stop.clone());
                self.attackers.spawn(arrives)
            }
        };
        if !load.inside && elsewhere.is_none() {
            let all = load.connections as u64;
            let mut open = pace.open.subscribe();
            self.client.block_on(async {
                let all_open = open.wait_for(|open| *open == all);
                drop(timeout(PATIENCE, all_open).await.unwrap().unwrap());
            });
        }
        let victim = &mut self.victim;
        // It is under way before anything is measured.
        self.client.block_on(small_calls(victim, calls / 4));
        let measured = Instant::now();
        loop {
            let times = self.client.block_on(small_calls(victim, calls));
            side.times.extend(times);
            let scripts = side.scripts + pace.scripts.load(Ordering::Relaxed);
            if scripts > 0 || !load.inside {
                side.scripts = scripts;
                break;
            }
            assert!(
                measured.elapsed() < 10 * PATIENCE,
                "{}: no script comes to its end",
                load.name
            );
        }
        side.bytes += pace.sent.load(Ordering::Relaxed);
        side.read += self.read_by_node().saturating_sub(read_before);
        side.took += began.elapsed();
        stop.cancel();
        self.attackers.block_on(task).unwrap();
        if let Some(mut process) = elsewhere {
            drop(process.stdin.take());
            assert!(process.wait().unwrap().success());
        }
    }

    /// Gives what the node says of the hostile peer's link at the end.
    fn compare(mut self, load: Load) -> LinkStats {
        let load = Arc::new(load);
        let calls = if in_full() { 1_000 } else { 200 };
        let (at_node, elsewhere) = (self.address, self.unrelated);
        let (mut loaded, mut base) = (Side::default(), Side::default());
        let [few, many] = ROUNDS;
        // Both at the same pace, which leaves processors to spare: where there are none, the system's scheduler is
        // what is measured. How much that is the node itself says.
        let mut unbounded = Side::default();
        self.during(&load, at_node, calls, None, &mut unbounded);
        let most = unbounded.rate(unbounded.read) / SHARE;
        let pace = load.inside.then(|| most.max(LEAST));
        let (bound, mut rounds) = (bound(), 0);
        let ratio = loop {
            self.during(&load, at_node, calls, pace, &mut loaded);
            self.during(&load, elsewhere, calls, pace, &mut base);
            rounds += 1;
            if rounds == few || rounds == many {
                let ratio = loaded.p99().as_secs_f64() / base.p99().as_secs_f64();
                if ratio <= bound || rounds == many {
                    break ratio;
                }
            }
        };
        println!(
            "{}: {:?} at full speed; {:?} against {:?} with {:.0} and {:.0} KiB/s, {} and {} scripts in {rounds} rounds, {ratio:.2}",
            load.name,
            unbounded.p99(),
            loaded.p99(),
            base.p99(),
            loaded.rate(loaded.bytes) / 1024.0,
            base.rate(base.bytes) / 1024.0,
            loaded.scripts,
            base.scripts
        );
        let stats = self.manager.connection(A).unwrap().stats();
        if load.inside {
            let (read, all) = (loaded.read, load.script.len() as u64);
            assert!(read >= all, "{read} bytes were read of {all}");
            let (loaded, base) = (loaded.rate(loaded.bytes), base.rate(base.bytes));
            assert!(base > 0.5 * loaded, "{base} bytes a second for {loaded}");
        }
        assert!(ratio <= bound, "{}: {ratio}", load.name);
        let manager = self.manager.clone();
        self.node
            .block_on(async move { manager.shutdown(Duration::ZERO).await });
        stats
    }
}

fn compare(load: Load) -> LinkStats {
    let _turn = crate::turn();
    Bench::new(node::settings().handshake_timeout(Duration::from_secs(5))).compare(load)
}

/// Of more calls than a link may have open some are refused, where all of them arrive.
fn compare_calls(name: &'static str, calls: u64, limit: usize, script: Vec<u8>) {
    let refused = compare(inside(name, script)).refused;
    assert_eq!(refused > 0, calls > limit as u64, "{refused} of {calls}");
}

fn inside(name: &'static str, script: Vec<u8>) -> Load {
    Load {
        name,
        inside: true,
        connections: 1,
        script,
        drips: false,
        process: None,
    }
}

fn many(what: &'static str, normal: usize, full: usize) -> u64 {
    scaled("H19", what, normal, full) as u64
}

#[test]
fn h19_half_open_sockets() {
    let wanted = many("half-open sockets", 500, 10_000);
    let load = Load {
        name: "half-open sockets",
        inside: false,
        connections: wanted as usize,
        script: b"GET /minio/gr".to_vec(),
        drips: false,
        process: Some("loads::h19_half_open_sockets"),
    };
    if load.send_from_here() {
        return;
    }
    let _turn = crate::turn();
    // Those of the last turn may still be there when the next ones come.
    let files = raise_open_files(2 * wanted + 1_000);
    assert!(files > wanted + 1_000, "{files} files for {wanted} sockets");
    // The node takes all of them, and keeps them for longer than a turn lasts.
    let settings = node::settings()
        .max_handshakes(2 * load.connections)
        .handshake_timeout(Duration::from_secs(600));
    Bench::new(settings).compare(load);
}

#[test]
fn h19_requests_to_a_stuck_handler() {
    let count = many("requests to a stuck handler", 10_000, 100_000);
    let requests = (1..=count).map(|mux| call(Op::Request, STUCK, mux, "small"));
    let limit = Settings::new().max_requests;
    compare_calls(
        "requests to a stuck handler",
        count,
        limit,
        frames(requests),
    );
}

#[test]
fn h19_stream_opens() {
    let count = many("streams", 2_000, 20_000);
    let opens = (1..=count).map(|mux| call(Op::ConnectMux, NO_INPUT, mux, "s"));
    let limit = Settings::new().max_streams;
    compare_calls("streams", count, limit, frames(opens));
}

#[test]
fn h19_endless_pings() {
    let count = many("pings", 9_000, 90_000);
    let ping = Message::new(Op::Ping, MuxId::CONNECTION);
    compare(inside("pings", frames((0..count).map(|_| ping.clone()))));
}

#[test]
fn h19_headers_of_exabytes() {
    compare(inside("2^62-byte headers", frame_head(0x82, 1 << 62)));
}

#[test]
fn h19_merged_bombs() {
    let count = many("messages in one", 50_000, 1_000_000);
    let responses: Vec<Message> = (0..count)
        .map(|_| Message::new(Op::Response, MuxId::new(1)))
        .collect();
    compare(inside("merged bombs", merged(&responses).encode()));
}

#[test]
fn h19_credit_bombs() {
    let count = many("credits", 20_000, 500_000);
    let open = call(Op::ConnectMux, TWO_WAY, 7, "s");
    let credits = (1..=count).map(|seq| numbered(Op::UnblockSrvMux, 7, seq as u32, ""));
    compare(inside(
        "credit bombs",
        frames(std::iter::once(open).chain(credits)),
    ));
}

#[test]
fn h19_dripping_handshakes() {
    compare(Load {
        name: "slow-loris handshakes",
        inside: false,
        connections: many("slow-loris handshakes", 100, 900) as usize,
        script: format!("{}\r\n", upgrade_request(PATH).join("\r\n")).into_bytes(),
        drips: true,
        process: None,
    });
}
