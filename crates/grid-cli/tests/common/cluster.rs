//! Two real nodes that are connected, and spare names by which a command can join them.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener},
    process::{Child, Command, Stdio},
    sync::mpsc::{self, RecvTimeoutError},
    thread,
    time::{Duration, Instant},
};

use grid_proto::local_dials;

use super::{Grid, PATIENCE, TempDir};

/// Nodes `a` and `b` with a link, each with a control socket. No port is fixed: the names lead nowhere,
/// and who dials is told where.
pub(crate) struct Cluster {
    pub(crate) names: Names,
    pub(crate) dir: TempDir,
    pub(crate) a: Grid,
    pub(crate) b: Grid,
    pub(crate) b_address: String,
    /// Where [`Names::listener`] listens; bound, so that nobody else takes it.
    pub(crate) spare_address: SocketAddr,
    _reserved: socket2::Socket,
}

/// Names of which the first dials the second, and so on as each says.
#[derive(Clone, Debug)]
pub(crate) struct Names {
    pub(crate) a: String,
    /// Is dialed by `a`.
    pub(crate) b: String,
    /// A spare name that dials both nodes.
    pub(crate) dialer: String,
    /// A spare name that `b` dials.
    pub(crate) listener: String,
}

impl Names {
    pub(crate) fn find(scheme: &str) -> Self {
        let all: Vec<String> = (1..60)
            .map(|port| format!("{scheme}://127.0.0.1:{port}"))
            .collect();
        let first = |fits: &dyn Fn(&String) -> bool| {
            all.iter()
                .find(|name| fits(name))
                .expect("names enough")
                .clone()
        };
        let a = all.first().expect("names").clone();
        let b = first(&|name| *name != a && local_dials(&a, name));
        let dialer = first(&|name| {
            *name != a && *name != b && local_dials(name, &a) && local_dials(name, &b)
        });
        let listener =
            first(&|name| *name != a && *name != b && *name != dialer && local_dials(&b, name));
        Self {
            a,
            b,
            dialer,
            listener,
        }
    }

    /// The list of `--peers`.
    pub(crate) fn peers(&self) -> String {
        [&self.a, &self.b, &self.dialer, &self.listener]
            .map(String::as_str)
            .join(",")
    }
}

impl Cluster {
    pub(crate) fn start() -> Self {
        let names = Names::find("http");
        let dir = TempDir::new();
        let reserved = reserve();
        let spare_address = reserved
            .local_addr()
            .ok()
            .and_then(|address| address.as_socket())
            .expect("an address");
        let to_spare = format!("{}={spare_address}", names.listener);
        let peers = names.peers();
        let listen = "127.0.0.1:0";
        let b_socket = format!("unix:{}/b.sock", dir.text());
        let mut b = Grid::start(&[
            "node",
            "--local",
            &names.b,
            "--peers",
            &peers,
            "--listen",
            listen,
            "--dial",
            &to_spare,
            "--control",
            &b_socket,
        ]);
        let b_address = b.address();
        let to_b = format!("{}={b_address}", names.b);
        let socket = format!("unix:{}/a.sock", dir.text());
        let mut a = Grid::start(&[
            "node",
            "--local",
            &names.a,
            "--peers",
            &peers,
            "--listen",
            listen,
            "--dial",
            &to_b,
            "--dial",
            &to_spare,
            "--control",
            &socket,
        ]);
        a.wait_for(&["link state", &names.b, "connected to"], PATIENCE);
        b.wait_for(&["link state", &names.a, "connected to"], PATIENCE);
        Self {
            names,
            dir,
            a,
            b,
            b_address,
            spare_address,
            _reserved: reserved,
        }
    }

    /// The value of `--via`.
    pub(crate) fn socket(&self) -> String {
        format!("unix:{}/a.sock", self.dir.text())
    }

    /// The control socket of `b`, by which tests look at it.
    pub(crate) fn b_socket(&self) -> String {
        format!("{}/b.sock", self.dir.text())
    }

    /// The options by which a command goes through `a` to `b`.
    pub(crate) fn via(&self) -> Vec<String> {
        words(&["--to", &self.names.b, "--via", &self.socket()])
    }

    /// The options by which a command joins and dials `b`.
    pub(crate) fn dialing(&self) -> Vec<String> {
        let to_b = format!("{}={}", self.names.b, self.b_address);
        let (peers, local) = (self.names.peers(), &self.names.dialer);
        words(&[
            "--to",
            &self.names.b,
            "--local",
            local,
            "--peers",
            &peers,
            "--dial",
            &to_b,
            "--listen",
            "127.0.0.1:0",
        ])
    }

    /// The options by which a command joins and is dialed by `b`.
    pub(crate) fn listening(&self) -> Vec<String> {
        let listen = self.spare_address.to_string();
        let (peers, local) = (self.names.peers(), &self.names.listener);
        words(&[
            "--to",
            &self.names.b,
            "--local",
            local,
            "--peers",
            &peers,
            "--listen",
            &listen,
        ])
    }

    /// Every way from a command to `b`.
    pub(crate) fn ways(&self) -> [Vec<String>; 3] {
        [self.via(), self.dialing(), self.listening()]
    }
}

/// A port that is taken, but for one who listens on it.
pub(crate) fn reserve() -> socket2::Socket {
    let socket =
        socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).expect("a socket");
    socket.set_reuse_address(true).expect("an option");
    let any: SocketAddr = "127.0.0.1:0".parse().expect("an address");
    socket.bind(&any.into()).expect("a port");
    socket
}

/// A port at which nobody answers, as long as the listener that is given back lives: it never
/// accepts.
pub(crate) fn silent() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    (listener, address)
}

pub(crate) fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|&word| word.to_owned()).collect()
}

/// How a command ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Output {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
}

impl Output {
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.stdout).expect("text on stdout")
    }

    /// The one line on stderr.
    #[track_caller]
    pub(crate) fn line(&self) -> &str {
        let mut lines = self.stderr.lines();
        match (lines.next(), lines.next()) {
            (Some(line), None) => line,
            _ => panic!("not one line: {self:?}"),
        }
    }
}

/// Starts `grid` with its stdin and stdout in the hands of the test.
pub(crate) fn spawn(words: &[&str], options: &[String]) -> Child {
    Command::new(env!("CARGO_BIN_EXE_grid"))
        .args(words)
        .args(options)
        .env("GRID_TOKEN", "secret")
        .env_remove("RUST_LOG")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("grid starts")
}

/// Runs `grid` with this on its stdin.
pub(crate) fn run(words: &[&str], options: &[String], input: &[u8]) -> Output {
    let mut child = spawn(words, options);
    let mut stdin = child.stdin.take().expect("stdin is piped");
    let input = input.to_vec();
    // It fails where the command takes no input and has ended.
    let feeding = thread::spawn(move || drop(stdin.write_all(&input)));
    let output = finish(child);
    feeding.join().expect("stdin was fed");
    output
}

/// Waits for the end of a command, and kills it when that takes too long.
#[track_caller]
pub(crate) fn finish(child: Child) -> Output {
    finish_told(child, PATIENCE, |_| {})
}

/// As [`finish`], but tells the command to end, again and again.
#[track_caller]
pub(crate) fn finish_told(
    mut child: Child,
    each: Duration,
    mut tell: impl FnMut(&Child),
) -> Output {
    let mut out = child.stdout.take();
    let mut err = child.stderr.take();
    let stdout = thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(out) = &mut out {
            out.read_to_end(&mut bytes).expect("stdout is read");
        }
        bytes
    });
    let (sender, ended) = mpsc::channel();
    let stderr = thread::spawn(move || {
        let mut text = String::new();
        if let Some(err) = &mut err {
            err.read_to_string(&mut text).expect("stderr is text");
        }
        // Nobody waits any more where it took too long.
        let _ = sender.send(());
        text
    });
    let begin = Instant::now();
    let in_time = loop {
        tell(&child);
        match ended.recv_timeout(each) {
            Err(RecvTimeoutError::Timeout) if begin.elapsed() < PATIENCE => {}
            ended => break ended.is_ok(),
        }
    };
    if !in_time {
        child.kill().expect("the process is there");
    }
    let status = child.wait().expect("it has ended");
    let output = Output {
        code: status.code(),
        stdout: stdout.join().expect("stdout was read"),
        stderr: stderr.join().expect("stderr was read"),
    };
    assert!(
        in_time,
        "still running after {:?}: {output:?}",
        begin.elapsed()
    );
    output
}

/// A second.
pub(crate) const SECOND: Duration = Duration::from_secs(1);
