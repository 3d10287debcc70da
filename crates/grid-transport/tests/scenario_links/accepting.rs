//! L26: accepting fails for a while.

#![allow(
    clippy::print_stdout,
    reason = "one process tells the other how far it is"
)]

use std::{
    fs::File,
    io,
    process::Stdio,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use futures_util::future::BoxFuture;
use grid_transport::{
    Accept, BoxIo, Manager, Payload,
    testing::{NAMES, Net, NetAcceptor, node_on},
};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    net::TcpListener,
    process::Command,
    sync::watch,
    task::JoinSet,
    time::Instant,
};

use crate::{
    logs::Logs,
    node::{self, A, B, Redirect},
    probe::{ECHO, ends, probe, text},
    raw::{Raw, request},
    scale::scaled,
};

/// Has so many failures before it works, all of them at once.
struct Failing {
    error: fn() -> io::Error,
    left: usize,
    tries: Arc<AtomicUsize>,
    inner: NetAcceptor,
}

impl Accept for Failing {
    fn accept(&mut self) -> BoxFuture<'_, io::Result<(BoxIo, String)>> {
        self.tries.fetch_add(1, Relaxed);
        match self.left.checked_sub(1) {
            Some(left) => {
                self.left = left;
                let error = (self.error)();
                Box::pin(async { Err(error) })
            }
            None => self.inner.accept(),
        }
    }
}

/// A node that is dialed, and how often its listener has tried.
fn serving(net: &Net, error: fn() -> io::Error, left: usize) -> (Manager, Arc<AtomicUsize>) {
    let manager = probe(node::builder(NAMES[1], &[NAMES[0]]).auth(grid_transport::NoAuth));
    let manager = manager.build().unwrap();
    let tries = Arc::new(AtomicUsize::new(0));
    let failing = Failing {
        error,
        left,
        tries: tries.clone(),
        inner: net.acceptor(NAMES[1]),
    };
    manager.serve_on(failing).unwrap();
    (manager, tries)
}

#[tokio::test(start_paused = true)]
async fn l26_without_file_descriptors_accepting_goes_on_and_does_not_spin_pair() {
    let (logs, _guard) = Logs::capture();
    let net = Net::new();
    assert!(grid_proto::local_dials(NAMES[0], NAMES[1]));
    let began = Instant::now();
    // EMFILE: too many open files.
    let (b, tries) = serving(&net, || io::Error::from_raw_os_error(24), 50);
    let a = node_on(&net, NAMES[0], &NAMES, probe).unwrap();
    let peer = a.connection(NAMES[1]).unwrap();
    node::connected(&peer).await;
    // One try in 100 ms.
    assert!(
        began.elapsed() >= Duration::from_secs(5),
        "{:?}",
        began.elapsed()
    );
    assert!(tries.load(Relaxed) <= 53, "{tries:?}");
    let answer = peer.request(ECHO, "x").await.unwrap();
    assert_eq!(text(&answer), "x");
    let mut warnings = logs.warnings();
    warnings.retain(|line| line.contains("can't accept a connection"));
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].contains("os error 24"), "{warnings:?}");
    tokio::join!(a.shutdown(Duration::ZERO), b.shutdown(Duration::ZERO));
}

#[tokio::test(start_paused = true)]
async fn l26_connections_that_are_gone_before_they_are_accepted_hold_nobody_up_pair() {
    let net = Net::new();
    let aborted = || io::ErrorKind::ConnectionAborted.into();
    let (b, tries) = serving(&net, aborted, 10_000);
    // It is ready beside the listener, and has its turn long before that is through.
    let seen = tries.clone();
    let beside = tokio::spawn(async move { seen.load(Relaxed) });
    let a = node_on(&net, NAMES[0], &NAMES, probe).unwrap();
    node::connected(&a.connection(NAMES[1]).unwrap()).await;
    assert!(beside.await.unwrap() < 1_000);
    assert!(tries.load(Relaxed) > 10_000);
    tokio::join!(a.shutdown(Duration::ZERO), b.shutdown(Duration::ZERO));
}

/// How many streams were accepted, and how many were not.
#[derive(Clone, Copy, Default)]
struct Outcomes {
    accepted: usize,
    failed: usize,
}

/// Counts what comes of a listener's tries.
struct Counted(TcpListener, watch::Sender<Outcomes>);

impl Accept for Counted {
    fn accept(&mut self) -> BoxFuture<'_, io::Result<(BoxIo, String)>> {
        Box::pin(async {
            let tried = Accept::accept(&mut self.0).await;
            self.1.send_modify(|outcomes| match tried {
                Ok(_) => outcomes.accepted += 1,
                Err(_) => outcomes.failed += 1,
            });
            tried
        })
    }
}

const FEW_FILES: &str = "GRID_FEW_FILES";
const LISTENS: &str = "listens on ";
const FULL: &str = "has no descriptors";
const FREE: &str = "will have some again";

/// Those that come while there is no descriptor for them.
fn late() -> Vec<String> {
    let names = (0..).map(|number| format!("http://late-{number}:9000"));
    names
        .filter(|name| grid_proto::local_dials(name, B))
        .take(20)
        .collect()
}

/// All descriptors that the process may still have.
fn all_descriptors() -> Vec<File> {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, 100, hard).unwrap();
    let mut files = Vec::new();
    loop {
        match File::open("/dev/null") {
            Ok(file) => files.push(file),
            Err(error) => {
                assert_eq!(error.raw_os_error(), Some(24), "{error}");
                return files;
            }
        }
    }
}

/// The process that is without descriptors for so many tries.
async fn without_descriptors(tries: usize) {
    let (logs, _guard) = Logs::capture();
    let late = late();
    let remotes: Vec<&str> = late.iter().map(String::as_str).chain([A]).collect();
    let b = probe(node::builder(B, &remotes)).build().unwrap();
    let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
    println!("{LISTENS}{}", socket.local_addr().unwrap());
    let outcomes = watch::Sender::new(Outcomes::default());
    b.serve_on(Counted(socket, outcomes.clone())).unwrap();
    let live = b.connection(A).unwrap();
    node::connected(&live).await;
    let files = all_descriptors();
    println!("{FULL}");
    let mut seen = outcomes.subscribe();
    drop(seen.wait_for(|seen| seen.failed > 0).await.unwrap());
    let began = Instant::now();
    let seen = *seen.wait_for(|seen| seen.failed >= tries).await.unwrap();
    let took = began.elapsed();
    assert_eq!((seen.accepted, seen.failed), (1, tries));
    // One try in 100 ms; timers count whole milliseconds.
    let least = Duration::from_millis(99) * (tries as u32 - 1);
    assert!(took >= least, "{tries} tries in {took:?}");
    println!("{FREE}");
    drop(files);
    node::state(&live, |state| (!state.is_connected()).then_some(())).await;
    let mut warnings = logs.warnings();
    warnings.retain(|line| line.contains("can't accept a connection"));
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].contains("os error 24"), "{warnings:?}");
    assert_eq!(outcomes.borrow().accepted, 1 + late.len());
    b.shutdown(Duration::ZERO).await;
}

/// A process of its own has as few descriptors as it takes.
#[tokio::test]
async fn l26_a_process_without_file_descriptors_serves_who_comes_when_it_has_some() {
    let tries = scaled("L26", "tries that fail", 10, 50);
    ends(async {
        if std::env::var_os(FEW_FILES).is_some() {
            return without_descriptors(tries).await;
        }
        let test = "l26_a_process_without_file_descriptors_serves_who_comes_when_it_has_some";
        let mut process = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", &format!("accepting::{test}"), "--nocapture"])
            .env(FEW_FILES, "1")
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut said = BufReader::new(process.stdout.take().unwrap()).lines();
        let mut heard = async |what: &str| loop {
            let line = said.next_line().await.unwrap().expect("it has ended");
            if let Some((_, rest)) = line.split_once(what) {
                return rest.to_owned();
            }
        };
        let address = heard(LISTENS).await.parse().unwrap();
        let a = probe(node::builder(A, &[B]).dialer(Redirect(address)));
        let a = a.build().unwrap();
        let live = a.connection(B).unwrap();
        node::connected(&live).await;
        heard(FULL).await;
        let mut waiting = JoinSet::new();
        for name in late() {
            waiting.spawn(async move { Raw::connect(address, &request(&name, "debug")).await });
        }
        // The link that is there is of use meanwhile.
        let mut calls = 0;
        let mut free = Box::pin(heard(FREE));
        loop {
            tokio::select! {
                biased;
                _ = &mut free => break,
                answer = live.request(ECHO, "x") => {
                    assert_eq!(answer.unwrap(), Payload::from("x"));
                    calls += 1;
                }
            }
        }
        drop(free);
        assert!(calls > 0);
        let mut inside = waiting.join_all().await;
        for (raw, response) in &mut inside {
            assert!(response.accepted, "{}", response.rejected_reason);
            raw.round_trip().await;
        }
        let answer = live.request(ECHO, "x").await.unwrap();
        assert_eq!(answer, Payload::from("x"));
        assert_eq!(live.stats().reconnects, 0);
        a.shutdown(Duration::ZERO).await;
        while said.next_line().await.unwrap().is_some() {}
        assert!(process.wait().await.unwrap().success());
    })
    .await;
}
