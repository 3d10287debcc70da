//! Printed once, as JSON, and what can go wrong.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpListener,
    process::{Child, Command, Stdio},
    sync::mpsc::{Receiver, channel},
    thread,
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::Value;

use crate::{
    common::PATIENCE,
    pair::{Pair, run},
};

const CALLS: u64 = 5;

fn once(way: [&str; 2], more: &[&str]) -> String {
    let arguments = ["top", way[0], way[1], "--once", "--interval", "0.2"];
    let ended = run(&[&arguments[..], more].concat());
    assert_eq!(ended.status.code(), Some(0), "{ended:?}");
    assert_eq!(ended.stderr, [""; 0]);
    ended.stdout
}

fn json(way: [&str; 2]) -> Value {
    let text = once(way, &["--json"]);
    assert_eq!(text.matches('\n').count(), 1, "{text}");
    serde_json::from_str(&text).expect("one JSON object")
}

#[test]
fn both_ways_tell_the_same_and_disturb_nothing() {
    let pair = Pair::connected();
    let url = format!("http://{}/status", pair.status);
    for way in [
        ["--via", &pair.via],
        ["--status", &pair.status],
        ["--status", &url],
    ] {
        let text = once(way, &[]);
        assert!(!text.contains(char::from(0x1b)), "{text:?}");
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[0].starts_with(&pair.acceptor), "{text}");
        assert!(lines[0].contains("links 1/1 connected"), "{text}");
        assert!(
            lines[1].contains("msg/s") && lines[1].contains("cpu "),
            "{text}"
        );
        assert!(lines[3].starts_with("REMOTE"), "{text}");
        let row: Vec<&str> = lines[4].split_whitespace().collect();
        assert_eq!(row[..2], [pair.dialer.as_str(), "connected"], "{text}");
        assert!(row.contains(&"them"), "{text}");
        assert_eq!(lines.len(), 5, "{text}");

        let value = json(way);
        let link = &value["links"][0];
        assert_eq!(link["reconnects"], 0, "{link}");
        assert!(link["rates"]["bytes_in_s"].is_f64(), "{link}");
    }
}

#[test]
fn json_counts_what_was_called() {
    let pair = Pair::connected();
    let way = ["--via", pair.via.as_str()];
    let before = json(way);
    for _ in 0..CALLS {
        pair.call();
    }
    let after = json(way);
    assert_eq!(after["version"], 1);
    assert_eq!(after["node"], *pair.acceptor);
    let (old, link) = (&before["links"][0], &after["links"][0]);
    assert_eq!(link["remote"], *pair.dialer);
    assert_eq!(link["state"], "connected");
    assert_eq!(link["dials"], false);
    for counter in ["messages_in", "messages_out"] {
        let grown = link[counter].as_u64().unwrap() - old[counter].as_u64().unwrap();
        // A few pings may be among them.
        assert!((CALLS..CALLS + 10).contains(&grown), "{counter}: {grown}");
    }
}

#[test]
fn what_a_node_has_served_is_in_its_handlers() {
    let pair = Pair::connected();
    // The calls come from commands that take the place of the other node.
    let dialer = &pair.dialer;
    drop(pair.dialer_node);
    let peers = format!("{dialer},{}", pair.acceptor);
    let dial = format!("{}={}", pair.acceptor, pair.address);
    for _ in 0..CALLS {
        let ended = run(&[
            "call",
            "9",
            "hello",
            "--to",
            &pair.acceptor,
            "--local",
            dialer,
            "--peers",
            &peers,
            "--dial",
            &dial,
            "--listen",
            "127.0.0.1:0",
        ]);
        assert_eq!(ended.status.code(), Some(0), "{ended:?}");
    }
    let status = json(["--status", &pair.status]);
    let handlers = status["handlers"].as_array().unwrap();
    let echo = handlers.iter().find(|handler| handler["handler"] == 9);
    assert_eq!(echo.unwrap()["calls"], CALLS, "{status}");
    // Each of them was a connection of its own, after that of the node before.
    assert_eq!(status["links"][0]["reconnects"], CALLS, "{status}");
}

/// `grid top --json` with its lines as they come.
struct Lines {
    child: Child,
    lines: Receiver<String>,
}

impl Lines {
    /// The reader goes away after `most` lines.
    fn start(via: &str, most: usize) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_grid"))
            .args(["top", "--via", via, "--json", "--interval", "0.1"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("grid starts");
        let mut stdout = BufReader::new(child.stdout.take().expect("stdout is piped"));
        let (sender, lines) = channel();
        // Its end closes the pipe.
        thread::spawn(move || {
            for _ in 0..most {
                let mut line = String::new();
                if stdout.read_line(&mut line).expect("text") == 0 {
                    break;
                }
                let _ = sender.send(line);
            }
        });
        Self { child, lines }
    }

    fn next(&self) -> Value {
        let line = self.lines.recv_timeout(PATIENCE).expect("a line in time");
        assert!(line.ends_with('\n'), "{line}");
        serde_json::from_str(&line).expect("a JSON object")
    }

    /// The exit code, stderr, and the lines that were left.
    fn ended(mut self) -> (Option<i32>, String, Vec<String>) {
        let mut stderr = String::new();
        let mut pipe = self.child.stderr.take().expect("stderr is piped");
        pipe.read_to_string(&mut stderr).expect("text");
        let status = self.child.wait().expect("it has ended");
        (status.code(), stderr, self.lines.iter().collect())
    }
}

#[test]
fn lines_come_until_a_signal_and_none_is_half() {
    let pair = Pair::connected();
    let top = Lines::start(&pair.via, usize::MAX);
    let (first, second) = (top.next(), top.next());
    for value in [&first, &second] {
        assert_eq!(value["links"][0]["state"], "connected", "{value}");
        assert!(value["links"][0]["rates"].is_object(), "{value}");
    }
    assert!(first["uptime_s"].as_f64() < second["uptime_s"].as_f64());
    let pid = Pid::from_raw(i32::try_from(top.child.id()).expect("a pid"));
    kill(pid, Signal::SIGINT).expect("it runs");
    let (code, stderr, rest) = top.ended();
    assert_eq!((code, stderr.as_str()), (Some(0), ""));
    for line in rest {
        assert!(line.ends_with('\n'), "{line}");
        serde_json::from_str::<Value>(&line).expect("a JSON object");
    }
}

#[test]
fn lines_end_with_their_reader_or_their_node() {
    let mut pair = Pair::connected();
    let top = Lines::start(&pair.via, 1);
    top.next();
    let (code, stderr, _) = top.ended();
    assert_eq!(code, Some(141), "{stderr}");
    assert!(stderr.contains("the reader of stdout has gone"), "{stderr}");

    let top = Lines::start(&pair.via, usize::MAX);
    top.next();
    pair.acceptor_node.take().expect("it runs").kill();
    let (code, stderr, _) = top.ended();
    assert_eq!(code, Some(3), "{stderr}");
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
}

fn failed(arguments: &[&str], code: i32, parts: &[&str]) {
    let ended = run(&[&["top"], arguments].concat());
    assert_eq!(ended.status.code(), Some(code), "{ended:?}");
    assert_eq!(ended.stdout, "");
    assert_eq!(ended.stderr.len(), 1, "{ended:?}");
    for part in parts {
        assert!(ended.stderr[0].contains(part), "no '{part}': {ended:?}");
    }
}

#[test]
fn wrong_usage_is_told() {
    failed(&["--once"], 2, &["--via", "--status"]);
    failed(&["--via", "unix:/none"], 2, &["--once", "--json"]);
    failed(&["--via", "/none", "--once"], 2, &["--via: '/none'"]);
    failed(&["--status", "9100", "--once"], 2, &["--status: '9100'"]);
    let both = ["--status", "127.0.0.1:1", "--via", "unix:/none"];
    failed(&both, 2, &["--status", "--via"]);
    let never = ["--status", "127.0.0.1:1", "--once", "--interval", "0"];
    failed(&never, 2, &["--interval: '0'"]);
}

#[test]
fn no_node_is_told() {
    failed(&["--via", "unix:/none/s", "--once"], 3, &["unix:/none/s"]);
    let free = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = free.local_addr().expect("an address").to_string();
    drop(free);
    for form in ["--once", "--json"] {
        failed(&["--status", &address, form], 3, &[&address]);
    }
}

/// Answers one connection with these bytes; tells the address.
fn answering(answer: String) -> (String, thread::JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    let thread = thread::spawn(move || {
        let (mut io, _) = listener.accept().expect("a client");
        let mut head = BufReader::new(io.try_clone().expect("a handle"));
        let mut line = String::new();
        while head.read_line(&mut line).expect("a head") > 2 {
            line.clear();
        }
        io.write_all(answer.as_bytes()).expect("it is read");
    });
    (address, thread)
}

#[test]
fn what_is_no_status_is_told() {
    let ok = |body: &str| {
        format!(
            "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        )
    };
    for (answer, part) in [
        (ok("{\"version\": 99}"), "version 99"),
        (ok("{\"version\": 1}"), "no status"),
        (ok("<html>"), "no status"),
        ("HTTP/1.1 404 Not Found\r\n\r\n".to_owned(), "404"),
        ("220 mail.example ready\r\n".to_owned(), "the status at"),
    ] {
        let (address, thread) = answering(answer);
        failed(&["--status", &address, "--once"], 1, &[part, &address]);
        thread.join().expect("it has answered");
    }
}

#[test]
fn the_help_has_an_example() {
    let ended = run(&["top", "--help"]);
    assert_eq!(ended.status.code(), Some(0), "{ended:?}");
    assert!(ended.stdout.contains("grid top --via unix:"), "{ended:?}");
}
