//! `grid node`: it listens, finds its peers, finds them again, and drains.

mod common;

use std::{
    future::{Future, IntoFuture},
    io,
    net::SocketAddr,
    pin::Pin,
    time::Duration,
};

use common::{Grid, PATIENCE, TempDir};
use grid_cli::probe::single;
use grid_transport::{
    BoxIo, CallError, Connection, Dialer, Manager, Refusal, RequestFuture, StaticToken, Target,
};
use nix::sys::signal::Signal;
use tokio::{net::TcpStream, time::timeout};

/// Two nodes connect within this of the second one's start.
const CONNECT: Duration = Duration::from_secs(3);
/// And again within this of the restart of either.
const AGAIN: Duration = Duration::from_secs(5);

/// A pair of names of which the first dials the second. Nothing listens at the ports: where the
/// acceptor is comes by `--dial`.
fn names() -> (String, String) {
    let (a, b) = (
        "http://127.0.0.1:1".to_owned(),
        "http://127.0.0.1:2".to_owned(),
    );
    if grid_proto::local_dials(&a, &b) {
        (a, b)
    } else {
        (b, a)
    }
}

struct Pair {
    dialer: String,
    acceptor: String,
}

impl Pair {
    fn new() -> Self {
        let (dialer, acceptor) = names();
        Self { dialer, acceptor }
    }

    fn peers(&self) -> String {
        format!("{},{}", self.dialer, self.acceptor)
    }

    fn start_acceptor(&self, listen: &str) -> Grid {
        Grid::start(&[
            "node",
            "--local",
            &self.acceptor,
            "--peers",
            &self.peers(),
            "--listen",
            listen,
        ])
    }

    fn start_dialer(&self, address: &str) -> Grid {
        let dial = format!("{}={address}", self.acceptor);
        let listen = "127.0.0.1:0";
        let arguments = [
            "node",
            "--local",
            &self.dialer,
            "--peers",
            &self.peers(),
            "--listen",
            listen,
            "--dial",
            &dial,
        ];
        Grid::start(&arguments)
    }

    fn see_each_other(&self, dialer: &mut Grid, acceptor: &mut Grid, within: Duration) {
        dialer.wait_for(&["link state", &self.acceptor, "connected to"], within);
        acceptor.wait_for(&["link state", &self.dialer, "connected to"], within);
    }
}

#[test]
fn two_nodes_find_each_other_whoever_is_restarted() {
    let pair = Pair::new();
    let mut acceptor = pair.start_acceptor("127.0.0.1:0");
    let address = acceptor.address();
    let mut dialer = pair.start_dialer(&address);
    pair.see_each_other(&mut dialer, &mut acceptor, CONNECT);

    dialer.kill();
    acceptor.wait_for(
        &["link state", &pair.dialer, "waiting to be dialed"],
        PATIENCE,
    );
    let mut dialer = pair.start_dialer(&address);
    pair.see_each_other(&mut dialer, &mut acceptor, AGAIN);

    acceptor.kill();
    dialer.wait_for(&["link state", &pair.acceptor, "connecting"], PATIENCE);
    let mut acceptor = pair.start_acceptor(&address);
    pair.see_each_other(&mut dialer, &mut acceptor, AGAIN);
}

#[test]
fn a_dialer_that_comes_first_waits_for_its_peer() {
    let pair = Pair::new();
    let mut acceptor = pair.start_acceptor("127.0.0.1:0");
    let address = acceptor.address();
    acceptor.kill();
    let mut dialer = pair.start_dialer(&address);
    dialer.address();
    let mut acceptor = pair.start_acceptor(&address);
    pair.see_each_other(&mut dialer, &mut acceptor, CONNECT);
}

#[test]
fn a_signal_drains_and_ends_well() {
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let pair = Pair::new();
        let mut acceptor = pair.start_acceptor("127.0.0.1:0");
        let address = acceptor.address();
        let mut dialer = pair.start_dialer(&address);
        pair.see_each_other(&mut dialer, &mut acceptor, PATIENCE);
        acceptor.signal(signal);
        acceptor.wait_for(&[signal.as_str(), "draining"], PATIENCE);
        let ended = acceptor.ended(PATIENCE);
        assert_eq!(ended.status.code(), Some(0), "{ended:?}");
        assert!(
            ended.stderr.iter().any(|line| line.contains("drained")),
            "{ended:?}"
        );
        assert_eq!(ended.stdout, "");
        dialer.wait_for(&["link state", &pair.acceptor, "connecting"], PATIENCE);
    }
}

#[test]
fn a_wrong_token_is_told_with_its_reason() {
    let pair = Pair::new();
    let mut acceptor = pair.start_acceptor("127.0.0.1:0");
    let address = acceptor.address();
    let dial = format!("{}={address}", pair.acceptor);
    let arguments = [
        "node",
        "--local",
        &pair.dialer,
        "--peers",
        &pair.peers(),
        "--listen",
        "127.0.0.1:0",
        "--dial",
        &dial,
    ];
    let mut dialer = Grid::start_with(
        &arguments,
        &[("GRID_TOKEN", "another"), ("RUST_LOG", "debug")],
    );
    dialer.wait_for(&["auth token"], PATIENCE);
}

#[test]
fn a_token_on_the_command_line_works_and_warns() {
    let pair = Pair::new();
    let mut acceptor = pair.start_acceptor("127.0.0.1:0");
    let address = acceptor.address();
    let dial = format!("{}={address}", pair.acceptor);
    let common = [
        "node",
        "--local",
        &pair.dialer,
        "--peers",
        &pair.peers(),
        "--listen",
        "127.0.0.1:0",
        "--dial",
        &dial,
    ];
    let arguments = [
        &common[..],
        &[
            "--token",
            "secret",
            "--ping",
            "0.5",
            "--stream-ping",
            "0.25",
        ],
    ]
    .concat();
    let mut dialer = Grid::start_with(&arguments, &[("GRID_TOKEN", "ignored")]);
    dialer.wait_for(&["WARN", "process list"], PATIENCE);
    pair.see_each_other(&mut dialer, &mut acceptor, PATIENCE);
    drop(dialer);

    let dir = TempDir::new();
    let file = dir.write("token", "secret\n");
    let arguments = [&common[..], &["--token-file", file.to_str().unwrap()]].concat();
    let mut dialer = Grid::start_with(&arguments, &[]);
    pair.see_each_other(&mut dialer, &mut acceptor, PATIENCE);
    dialer.signal(Signal::SIGTERM);
    let ended = dialer.ended(PATIENCE);
    assert!(
        ended.stderr.iter().all(|line| !line.contains("WARN")),
        "{ended:?}"
    );
}

/// Neither with everything that can be logged, nor where the command is wrong.
#[test]
fn no_token_is_logged_or_told() {
    let pair = Pair::new();
    let environment = |token| [("GRID_TOKEN", token), ("RUST_LOG", "trace")];
    let peers = pair.peers();
    let arguments = [
        "node",
        "--local",
        &pair.acceptor,
        "--peers",
        &peers,
        "--listen",
        "127.0.0.1:0",
    ];
    let mut acceptor = Grid::start_with(&arguments, &environment("s3cret-one"));
    let dial = format!("{}={}", pair.acceptor, acceptor.address());
    let arguments = [
        "node",
        "--local",
        &pair.dialer,
        "--peers",
        &peers,
        "--listen",
        "127.0.0.1:0",
        "--dial",
        &dial,
    ];
    let mut wrong = Grid::start_with(&arguments, &environment("s3cret-two"));
    wrong.wait_for(&["auth token"], PATIENCE);
    let mut right = Grid::start_with(&arguments, &environment("s3cret-one"));
    pair.see_each_other(&mut right, &mut acceptor, PATIENCE);
    let mut all = Vec::new();
    for node in [wrong, right, acceptor] {
        node.signal(Signal::SIGTERM);
        all.push(node.ended(PATIENCE));
    }
    for bad in [
        &["--token", "s3cret-three", "--nonsense"][..],
        &["--token=s3cret four", "--ping", "x"],
    ] {
        let arguments = [&arguments[..], bad].concat();
        let ended = Grid::start_with(&arguments, &[]).ended(PATIENCE);
        assert!(!ended.status.success(), "{bad:?}");
        all.push(ended);
    }
    for ended in all {
        assert!(!ended.stderr.is_empty());
        assert!(!format!("{ended:?}").contains("s3cret"), "{ended:?}");
    }
}

/// Dials one address, whatever the name says.
struct To(SocketAddr);

impl Dialer for To {
    fn dial<'a>(
        &'a self,
        _: &'a Target,
    ) -> Pin<Box<dyn Future<Output = io::Result<BoxIo>> + Send + 'a>> {
        Box::pin(async { Ok(Box::new(TcpStream::connect(self.0).await?) as BoxIo) })
    }
}

/// A node in this process that dials the pair's acceptor, and its connection, which is up.
async fn caller(pair: &Pair, node: &mut Grid) -> (Manager, Connection) {
    let caller = Manager::builder(pair.dialer.as_str())
        .peers([&pair.dialer, &pair.acceptor])
        .auth(StaticToken::new("secret"))
        .dialer(To(node.address().parse().unwrap()))
        .build()
        .unwrap();
    let peer = caller.connection(&pair.acceptor).unwrap();
    timeout(PATIENCE, peer.connected())
        .await
        .expect("connected in time")
        .unwrap();
    (caller, peer)
}

/// Makes a request that sleeps, and returns once its handler has begun.
async fn sleeping(peer: &Connection, milliseconds: &'static str) -> RequestFuture {
    let mut slow = peer
        .request(single::SLEEP, milliseconds)
        .timeout(PATIENCE)
        .into_future();
    tokio::select! {
        biased;
        early = &mut slow => panic!("{early:?}"),
        // Its answer proves that the slow one, which was sent before, has arrived.
        echo = peer.request(single::ECHO, "x") => drop(echo.unwrap()),
    }
    slow
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_is_open_ends_before_the_node_does() {
    let pair = Pair::new();
    let mut node = pair.start_acceptor("127.0.0.1:0");
    let (_caller, peer) = caller(&pair, &mut node).await;
    let slow = sleeping(&peer, "2000").await;
    node.signal(Signal::SIGTERM);
    node.wait_for(&["SIGTERM", "draining"], PATIENCE);
    let late = loop {
        match peer.request(single::ECHO, "x").timeout(PATIENCE).await {
            // The log line comes just before the node begins to refuse.
            Ok(_) => {}
            Err(error) => break error,
        }
    };
    assert!(
        matches!(late, CallError::Refused(Refusal::ShuttingDown)),
        "{late:?}"
    );
    let answer = timeout(PATIENCE, slow)
        .await
        .expect("an answer in time")
        .unwrap();
    assert_eq!(answer.as_slice(), b"2000");
    let ended = node.ended(PATIENCE);
    assert_eq!(ended.status.code(), Some(0), "{ended:?}");
    assert!(
        ended
            .stderr
            .iter()
            .any(|line| line.contains("drained complete=true")),
        "{ended:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_signal_ends_the_node_at_once() {
    let pair = Pair::new();
    let mut node = pair.start_acceptor("127.0.0.1:0");
    let (_caller, peer) = caller(&pair, &mut node).await;
    let slow = sleeping(&peer, "50000").await;
    node.signal(Signal::SIGINT);
    node.wait_for(&["SIGINT", "draining"], PATIENCE);
    node.signal(Signal::SIGINT);
    let ended = node.ended(PATIENCE);
    assert_eq!(ended.status.code(), Some(130), "{ended:?}");
    let lost = timeout(PATIENCE, slow).await.expect("an error in time");
    assert!(
        matches!(lost, Err(CallError::Disconnected { .. })),
        "{lost:?}"
    );
}
