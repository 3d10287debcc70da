//! Strangers who hold all places, and one who may ask.

use std::{
    io::{ErrorKind, Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpStream},
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    thread,
    time::Instant,
};

use futures_util::future::{FutureExt, pending};

use crate::{
    common::{PATIENCE, TempDir},
    http::{Answer, get, get_with},
    nodes::Nodes,
    watched::Watched,
};

const TOKEN: &str = "s3cret-status";

/// Connections that may say nothing at one time.
const MOST_SILENT: usize = 64;

fn connect(address: &str) -> TcpStream {
    let io = TcpStream::connect(address).expect("it listens");
    io.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    io
}

/// A stranger's connection, from another address than everybody else's of this machine.
fn connect_from_elsewhere(address: &str) -> Option<TcpStream> {
    let socket =
        socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).expect("a socket");
    let elsewhere = SocketAddr::from((Ipv4Addr::new(127, 0, 0, 2), 0));
    socket.bind(&elsewhere.into()).expect("an address");
    let address: SocketAddr = address.parse().expect("an address");
    socket.connect(&address.into()).ok()?;
    socket.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    Some(socket.into())
}

fn is_open(io: &TcpStream) -> bool {
    io.set_nonblocking(true).expect("a socket");
    let mut io = io;
    matches!(io.read(&mut [0; 1]), Err(error) if error.kind() == ErrorKind::WouldBlock)
}

struct Guarded {
    nodes: Nodes,
    _dir: TempDir,
}

impl Guarded {
    fn start() -> Self {
        let dir = TempDir::new();
        let file = dir.write("token", TOKEN);
        let nodes = Nodes::start(1, 0, &["--status-token-file", file.to_str().expect("text")]);
        Self { nodes, _dir: dir }
    }

    fn ask(&self) -> Answer {
        let address = &*self.nodes.status;
        let token = format!("Bearer {TOKEN}");
        let headers = [("host", address), ("authorization", &token)];
        get_with(address, "/status", &headers)
    }
}

#[test]
fn who_has_the_token_waits_for_none_of_those_who_say_nothing() {
    let guarded = Guarded::start();
    let begin = Instant::now();
    loop {
        // So many that only those are left who came last, if the others had to be waited for.
        let strangers: Vec<TcpStream> = (0..3 * MOST_SILENT)
            .map(|number| {
                let mut io = connect(&guarded.nodes.status);
                if number % 2 == 0 {
                    // It fails where the place is another one's by now.
                    let _ = io.write_all(b"GET /status HTTP/1.1\r\nauthorization: Bearer ");
                }
                io
            })
            .collect();
        guarded.ask().is(200);
        // The others are still waited for. On a machine that stood still they may have had their time.
        let open = strangers.iter().filter(|io| is_open(io)).count();
        assert!(open < MOST_SILENT, "{open} places");
        if open == MOST_SILENT - 1 {
            return;
        }
        assert!(begin.elapsed() < PATIENCE, "{open} were left");
    }
}

#[test]
fn strangers_who_come_again_and_again_keep_nobody_out() {
    let guarded = Guarded::start();
    let address = guarded.nodes.status.clone();
    let (over, cut) = (AtomicBool::new(false), AtomicUsize::new(0));
    thread::scope(|scope| {
        for _ in 0..MOST_SILENT + 16 {
            scope.spawn(|| {
                while !over.load(Ordering::SeqCst) {
                    let Some(mut io) = connect_from_elsewhere(&address) else {
                        return;
                    };
                    // Until another one takes its place.
                    let _ = io.read(&mut [0; 1]);
                    cut.fetch_add(1, Ordering::SeqCst);
                }
            });
        }
        let begin = Instant::now();
        let mut before = 0;
        for _ in 0..20 {
            // Each time all places have been taken anew.
            while cut.load(Ordering::SeqCst) < before + MOST_SILENT {
                assert!(begin.elapsed() < PATIENCE, "the places are not taken");
                thread::yield_now();
            }
            before = cut.load(Ordering::SeqCst);
            guarded.ask().is(200);
        }
        over.store(true, Ordering::SeqCst);
        // With the node, all of their connections go.
        drop(guarded);
    });
}

#[test]
fn who_is_being_answered_keeps_the_place() {
    // The page waits for this peer.
    let watched = Watched::start(|_| vec![Box::new(|| pending().boxed())]);
    let mut asks = connect(&watched.status);
    let head = format!("GET / HTTP/1.1\r\nhost: {}\r\n\r\n", watched.status);
    asks.write_all(head.as_bytes()).expect("it is read");
    let begin = Instant::now();
    while watched.peers[0].asked() == 0 {
        assert!(begin.elapsed() < PATIENCE, "never asked");
        thread::yield_now();
    }
    let mut strangers: Vec<TcpStream> = (0..2 * MOST_SILENT)
        .map(|_| connect(&watched.status))
        .collect();
    // Who came before the last ones had to go, and this one would have been the first of them.
    let went = strangers[MOST_SILENT - 1].read(&mut [0; 1]);
    assert_eq!(went.expect("an end"), 0);
    let mut answer = String::new();
    asks.read_to_string(&mut answer).expect("an answer in time");
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert!(answer.ends_with("</html>\n"), "{answer}");
    get(&watched.status, "/status").is(200);
}
