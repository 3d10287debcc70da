//! The status over HTTP, by hand.

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    time::Duration,
};

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::{
    common::PATIENCE,
    pair::{Pair, run},
};

/// A connection on which nothing is waited for longer than [`PATIENCE`].
fn connect(address: &str) -> TcpStream {
    let io = TcpStream::connect(address).expect("it listens");
    io.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    io
}

/// Sends the bytes and returns all that comes until the other side closes.
fn talk(address: &str, request: &str) -> String {
    let mut io = connect(address);
    io.write_all(request.as_bytes()).expect("it is read");
    let mut answer = String::new();
    io.read_to_string(&mut answer).expect("an answer in time");
    answer
}

fn ask(address: &str, method: &str, path: &str) -> (String, String) {
    let request = format!("{method} {path} HTTP/1.1\r\nhost: {address}\r\n\r\n");
    let answer = talk(address, &request);
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    (head.to_lowercase(), body.to_owned())
}

#[test]
fn the_status_is_served_and_nothing_else() {
    let pair = Pair::connected();
    let (head, body) = ask(&pair.status, "GET", "/status");
    assert!(head.starts_with("http/1.1 200 "), "{head}");
    assert!(head.contains("content-type: application/json"), "{head}");
    let status: Value = serde_json::from_str(&body).expect("JSON");
    assert_eq!(status["version"], 1);
    assert_eq!(status["links"][0]["remote"], *pair.dialer);

    let (head, body) = ask(&pair.status, "HEAD", "/status");
    assert!(head.starts_with("http/1.1 200 "), "{head}");
    assert!(head.contains("content-length: "), "{head}");
    assert_eq!(body, "");

    for path in ["/page", "/statuses", "/status/", "/metrics"] {
        let (head, body) = ask(&pair.status, "GET", path);
        assert!(head.starts_with("http/1.1 404 "), "{path}: {head}");
        assert!(body.contains("/status"), "{path}: {body}");
    }
    for method in ["POST", "DELETE", "OPTIONS"] {
        let (head, _) = ask(&pair.status, method, "/status");
        assert!(head.starts_with("http/1.1 405 "), "{method}: {head}");
        assert!(head.contains("allow: get, head"), "{method}: {head}");
    }
    let large = format!("GET /status HTTP/1.1\r\nx: {}\r\n\r\n", "y".repeat(9000));
    let answer = talk(&pair.status, &large);
    assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
    let answer = talk(&pair.status, "hello\r\n\r\n");
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
}

#[test]
fn silent_clients_are_cut_and_hold_up_nothing() {
    let mut pair = Pair::connected();
    let mut silent: Vec<TcpStream> = (0..100).map(|_| connect(&pair.status)).collect();
    let mut half = connect(&pair.status);
    half.write_all(b"GET /status HTTP/1.1\r\nhost:")
        .expect("it is read");
    // The node works, and the status waits for a place at most.
    pair.call();
    let (head, _) = ask(&pair.status, "GET", "/status");
    assert!(head.starts_with("http/1.1 200 "), "{head}");
    for io in silent.iter_mut().chain([&mut half]) {
        let mut rest = Vec::new();
        io.read_to_end(&mut rest).expect("cut in time");
        assert!(!rest.starts_with(b"HTTP/1.1 200"));
    }
    // Nor do they hold up its end.
    let mut half = connect(&pair.status);
    half.write_all(b"GET ").expect("it is read");
    let (head, _) = ask(&pair.status, "GET", "/status");
    assert!(head.starts_with("http/1.1 200 "), "{head}");
    let node = pair.acceptor_node.take().expect("it runs");
    node.signal(Signal::SIGTERM);
    let ended = node.ended(Duration::from_secs(30));
    assert_eq!(ended.status.code(), Some(0), "{ended:?}");
    let mut rest = Vec::new();
    // Whether by a reset or an orderly end.
    let _ = half.read_to_end(&mut rest);
}

#[test]
fn an_address_in_use_is_told_before_the_node_starts() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    let ended = run(&[
        "node",
        "--local",
        "http://127.0.0.1:1",
        "--peers",
        "http://127.0.0.1:1,http://127.0.0.1:2",
        "--listen",
        "127.0.0.1:0",
        "--status",
        &address,
    ]);
    assert_eq!(ended.status.code(), Some(2), "{ended:?}");
    assert_eq!(ended.stderr.len(), 1, "{ended:?}");
    let line = &ended.stderr[0];
    assert!(
        line.contains("--status") && line.contains(&address),
        "{line}"
    );
}
