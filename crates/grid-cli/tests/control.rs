//! The control socket: what goes over it ends with its command, on every node.

mod common;

use std::{
    io::{BufRead, BufReader, Read, Write},
    os::unix::{fs::PermissionsExt, net::UnixStream},
    thread,
};

use common::{
    PATIENCE,
    cluster::{Cluster, finish, run, spawn},
    status::{calls, running, status, wait_for},
};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

#[test]
fn a_command_that_is_killed_leaves_nothing_behind() {
    let cluster = Cluster::start();
    let b = cluster.b_socket();
    for way in cluster.ways() {
        for words in [&["stream", "65"][..], &["stream", "64", "--in", "1"]] {
            let handler: u64 = words[1].parse().unwrap();
            let mut child = spawn(words, &way);
            wait_for(&b, "open", |status| running(status, handler) == 1);
            child.kill().unwrap();
            child.wait().unwrap();
            wait_for(&b, "cancelled", |status| running(status, handler) == 0);
        }
    }
}

#[test]
fn ctrl_c_gives_a_call_up_everywhere() {
    let cluster = Cluster::start();
    let b = cluster.b_socket();
    for way in [cluster.via(), cluster.dialing()] {
        // A single request is an action: its handler runs to its end, so it is a short one.
        let child = spawn(&["call", "21", "1500"], &way);
        wait_for(&b, "called", |status| running(status, 21) == 1);
        kill(
            Pid::from_raw(i32::try_from(child.id()).unwrap()),
            Signal::SIGINT,
        )
        .unwrap();
        let ended = finish(child);
        assert_eq!(ended.code, Some(130), "{ended:?}");
        assert_eq!(ended.line(), "grid: interrupted");
        assert_eq!(ended.stdout, b"");
        wait_for(&b, "at rest", |status| running(status, 21) == 0);
        let status = status(&cluster.socket()["unix:".len()..]);
        for link in status["links"].as_array().unwrap() {
            assert_eq!(link["open_requests"], 0, "{link}");
        }
    }
}

#[test]
fn a_consumer_that_does_not_read_holds_the_handler_back() {
    let cluster = Cluster::start();
    let b = cluster.b_socket();
    let mut child = spawn(
        &["stream", "59", "100000:10000", "--out", "100", "--raw"],
        &cluster.via(),
    );
    let mut stdout = child.stdout.take().unwrap();
    let mut first = [0; 10_000];
    stdout.read_exact(&mut first).unwrap();
    // A gigabyte is asked for. What is under way is bounded by the capacities and the pipes.
    wait_for(&b, "held back", |status| running(status, 59) == 1);
    let before = status(&b);
    let memory = before["process"]["peak_memory_bytes"].as_u64().unwrap();
    let queued: u64 = before["links"]
        .as_array()
        .unwrap()
        .iter()
        .map(|link| link["queued_bytes"].as_u64().unwrap())
        .sum();
    assert!(queued <= 100 * 10_100, "{queued} bytes are queued");
    assert!(memory < 500 << 20, "{memory} bytes at the peak");
    drop(stdout);
    assert_eq!(finish(child).code, Some(141));
    wait_for(&b, "cancelled", |status| running(status, 59) == 0);
}

#[test]
fn many_commands_share_a_socket() {
    let cluster = Cluster::start();
    let commands: Vec<_> = (0..24)
        .map(|number| {
            let way = cluster.via();
            thread::spawn(move || {
                let text = format!("number {number}");
                let output = run(&["call", "9", &text], &way, b"");
                assert_eq!(
                    (output.code, output.text()),
                    (Some(0), &*text),
                    "{output:?}"
                );
            })
        })
        .collect();
    for command in commands {
        command.join().unwrap();
    }
    assert_eq!(calls(&status(&cluster.b_socket()), 9), 24);
}

#[test]
fn who_says_nothing_on_the_socket_is_let_go() {
    let cluster = Cluster::start();
    let path = cluster.b_socket();
    let mode = std::fs::symlink_metadata(&path)
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    let mut silent = UnixStream::connect(&path).unwrap();
    let mut noisy = UnixStream::connect(&path).unwrap();
    noisy.write_all(&[0xff; 4096]).unwrap();
    for stream in [&mut silent, &mut noisy] {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut answer = Vec::new();
        // A reset is an end as well.
        let _ = stream.read_to_end(&mut answer);
        assert!(!answer.starts_with(b"HTTP/1.1 101"));
    }
    assert_eq!(run(&["call", "9", "x"], &cluster.via(), b"").code, Some(0));
}

#[test]
fn a_node_that_ends_ends_its_commands_and_takes_its_socket_away() {
    let cluster = Cluster::start();
    let mut child = spawn(&["stream", "10", "--in", "1"], &cluster.via());
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(b"x\n").unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().unwrap())
        .read_line(&mut line)
        .unwrap();
    // Twice: at once.
    cluster.a.signal(Signal::SIGTERM);
    cluster.a.signal(Signal::SIGINT);
    let Cluster { a, dir, b: _b, .. } = cluster;
    let ended = a.ended(PATIENCE);
    assert_eq!(ended.status.code(), Some(130), "{ended:?}");
    let command = finish(child);
    assert_eq!(command.code, Some(1), "{command:?}");
    assert!(command.stderr.contains("after 1 items"), "{command:?}");
    assert!(!dir.path().join("a.sock").exists());
}
