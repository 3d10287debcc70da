//! `grid call`: payload in, bytes out, exit code.

mod common;

use std::{
    io::{BufRead, BufReader, Write},
    time::Duration,
};

use common::{
    Grid,
    cluster::{Cluster, Output, finish, finish_told, run, silent, spawn},
};
use grid_typed::StringMap;
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

#[track_caller]
fn answered(output: &Output, answer: &[u8]) {
    assert_eq!(output.code, Some(0), "{output:?}");
    assert_eq!(output.stdout, answer, "{output:?}");
    assert_eq!(output.stderr, "");
}

#[test]
fn every_payload_goes_every_way_and_comes_back() {
    let cluster = Cluster::start();
    let big: Vec<u8> = (0..3_000_000_u32).map(|at| (at % 251) as u8).collect();
    let file = cluster.dir.write("big", &big);
    let at_file = format!("@{}", file.display());
    let map = grid_typed::encode(&StringMap::from_iter([("a", "b")])).unwrap();
    for way in cluster.ways() {
        answered(&run(&["call", "9", "hello"], &way, b""), b"hello");
        answered(&run(&["call", "9", &at_file], &way, b""), &big);
    }
    // A node dials a name that was away only every second or two, so the rest goes two ways.
    for way in [cluster.via(), cluster.dialing()] {
        answered(&run(&["call", "9"], &way, b""), b"");
        answered(&run(&["call", "9", "hex:00 ff"], &way, b""), b"\0\xff");
        answered(&run(&["call", "9", "-"], &way, b"a\0b\n"), b"a\0b\n");
        answered(
            &run(&["call", "9", "hex:00ff", "--hex"], &way, b""),
            b"00ff\n",
        );
        for prefix in ["msgpack", "json"] {
            let payload = format!("{prefix}:{{\"a\": \"b\"}}");
            answered(&run(&["call", "9", &payload], &way, b""), &map);
            answered(
                &run(&["call", "41", &payload, "--json"], &way, b""),
                b"{\"a\": \"b\", \"reply\": \"ok\"}\n",
            );
        }
        answered(
            &run(&["call", "9", "x", "--subroute", "subroute/1"], &way, b""),
            b"sub1:x",
        );
        for handler in ["11", "12"] {
            answered(&run(&["call", handler, "x"], &way, b""), b"");
        }
    }
}

#[test]
fn the_largest_payload_goes_over_the_control_socket_too() {
    let cluster = Cluster::start();
    // An envelope takes at most 70 bytes.
    let largest = vec![7; 64 * 1024 * 1024 - 70];
    let file = cluster.dir.write("largest", &largest);
    let payload = format!("@{}", file.display());
    answered(
        &run(&["call", "9", &payload], &cluster.via(), b""),
        &largest,
    );
    let file = cluster.dir.write("larger", vec![7; 64 * 1024 * 1024]);
    let payload = format!("@{}", file.display());
    for way in [cluster.via(), cluster.dialing()] {
        let refused = run(&["call", "9", &payload], &way, b"");
        assert_eq!(refused.code, Some(1), "{refused:?}");
        assert!(refused.line().contains("over the limit"), "{refused:?}");
    }
}

#[test]
fn failures_have_their_exit_codes() {
    let cluster = Cluster::start();
    for way in [cluster.via(), cluster.dialing()] {
        let failed = run(&["call", "13", "no\tsuch disk"], &way, b"");
        assert_eq!(failed.code, Some(1), "{failed:?}");
        assert_eq!(failed.line(), "remote: no\\tsuch disk");
        let unknown = run(&["call", "77", "x"], &way, b"");
        assert_eq!(unknown.code, Some(1), "{unknown:?}");
        assert!(
            unknown.line().starts_with("remote: Invalid Handler"),
            "{unknown:?}"
        );
        let late = run(&["call", "21", "60000", "--timeout", "200ms"], &way, b"");
        assert_eq!(late.code, Some(4), "{late:?}");
        assert!(late.line().contains("200ms"), "{late:?}");
        let no_json = run(&["call", "9", "plain", "--json"], &way, b"");
        assert_eq!(no_json.code, Some(1), "{no_json:?}");
        for output in [failed, unknown, late, no_json] {
            assert_eq!(output.stdout, b"", "{output:?}");
        }
    }
}

#[test]
fn who_is_not_there_is_not_called() {
    let cluster = Cluster::start();
    let names = &cluster.names;
    let socket = cluster.socket();
    let options =
        |words: &[&str]| -> Vec<String> { words.iter().map(|&word| word.to_owned()).collect() };
    // The node's own link is down.
    let way = options(&[
        "--to",
        &names.dialer,
        "--via",
        &socket,
        "--connect-timeout",
        "300ms",
    ]);
    let down = run(&["call", "9", "x"], &way, b"");
    assert_eq!(down.code, Some(3), "{down:?}");
    assert!(
        down.line()
            .contains(&format!("not connected to {}", names.dialer))
    );
    // Nobody listens at its address, or somebody does and says nothing.
    let (_silence, address) = silent();
    for address in ["127.0.0.1:9", &address] {
        let dial = format!("{}={address}", names.b);
        let (peers, local) = (names.peers(), &names.dialer);
        let way = options(&[
            "--to",
            &names.b,
            "--local",
            local,
            "--peers",
            &peers,
            "--dial",
            &dial,
            "--listen",
            "127.0.0.1:0",
            "--connect-timeout",
            "300ms",
        ]);
        let down = run(&["call", "9", "x"], &way, b"");
        assert_eq!(down.code, Some(3), "{down:?}");
        assert!(down.line().contains("not connected"), "{down:?}");
    }
    // Nobody dials.
    let (peers, local) = (names.peers(), &names.listener);
    let way = options(&[
        "--to",
        &names.b,
        "--local",
        local,
        "--peers",
        &peers,
        "--listen",
        "127.0.0.1:0",
        "--connect-timeout",
        "300ms",
    ]);
    let down = run(&["call", "9", "x"], &way, b"");
    assert_eq!(down.code, Some(3), "{down:?}");
    assert!(down.line().contains("it dials"), "{down:?}");
    // There is no node behind the socket.
    let way = options(&["--to", &names.b, "--via", "unix:/nowhere/sock"]);
    let down = run(&["call", "9", "x"], &way, b"");
    assert_eq!(down.code, Some(3), "{down:?}");
    assert!(down.line().contains("unix:/nowhere/sock"), "{down:?}");
}

#[test]
fn a_refused_token_is_told_at_once_with_its_reason() {
    let cluster = Cluster::start();
    let mut way = cluster.dialing();
    way.extend(["--token".to_owned(), "wrong".to_owned()]);
    let refused = run(&["call", "9", "x"], &way, b"");
    assert_eq!(refused.code, Some(3), "{refused:?}");
    let mut lines = refused.stderr.lines();
    let warning = lines.next().unwrap_or_default();
    assert!(warning.contains("process list"), "{refused:?}");
    let reason = lines.next().unwrap_or_default();
    assert!(reason.contains("auth token: invalid token"), "{refused:?}");
    assert!(!refused.stderr.contains("wrong"), "{refused:?}");
}

#[test]
fn wrong_usage_names_what_is_wrong() {
    let cluster = Cluster::start();
    let via = cluster.via();
    for (words, options, part) in [
        (&["call", "0", "x"][..], &via[..], "0"),
        (&["call", "256", "x"], &via, "256"),
        (&["call", "echo", "x"], &via, "echo"),
        (&["call", "9", "@/nowhere/file"], &via, "/nowhere/file"),
        (&["call", "9", "hex:0"], &via, "hex"),
        (&["call", "9", "json:{"], &via, "'{'"),
        (&["call", "9", "x", "--timeout", "soon"], &via, "'soon'"),
        (&["call", "9", "x", "--raw", "--hex"], &via, "--raw"),
        (
            &["call", "9", "x", "--local", "http://a:1"],
            &via,
            "--local",
        ),
        (
            &["call", "9", "x", "--listen", "127.0.0.1:0"],
            &via,
            "--listen",
        ),
        (
            &["call", "9", "x", "--to", "http://127.0.0.1:2"],
            &[],
            "--via",
        ),
        (&["call", "9", "x"], &[], "--to"),
        (
            &["call", "9", "x", "--to", "http://nobody:1"],
            &via[2..],
            "http://nobody:1",
        ),
        (
            &["call", "9", "x", "--to", "x", "--via", "/a/b"],
            &[],
            "unix:PATH",
        ),
    ] {
        let refused = run(words, options, b"");
        assert_eq!(refused.code, Some(2), "{words:?} {refused:?}");
        assert!(refused.line().contains(part), "{words:?} {refused:?}");
        assert_eq!(refused.stdout, b"");
    }
}

#[test]
fn a_name_that_a_node_has_is_no_spare_name() {
    let cluster = Cluster::start();
    // The address in the name is where a node listens.
    let taken = format!("http://{}", cluster.b_address);
    let peers = format!("{},{taken}", cluster.names.peers());
    let way = [
        "--to",
        &cluster.names.a,
        "--local",
        &taken,
        "--peers",
        &peers,
    ];
    let way: Vec<String> = way.iter().map(|&word| word.to_owned()).collect();
    let refused = run(&["call", "9", "x"], &way, b"");
    assert_eq!(refused.code, Some(2), "{refused:?}");
    assert!(refused.line().contains("spare name"), "{refused:?}");
}

#[test]
fn a_spare_name_serves_one_command_at_a_time() {
    let cluster = Cluster::start();
    // The address of the name is given away once: whoever holds it keeps others out.
    let held = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut way = cluster.dialing();
    let listen = way.iter().position(|word| word == "127.0.0.1:0").unwrap();
    way[listen] = held.local_addr().unwrap().to_string();
    let refused = run(&["call", "9", "x"], &way, b"");
    assert_eq!(refused.code, Some(2), "{refused:?}");
    assert!(refused.line().contains("is taken"), "{refused:?}");
    drop(held);
    let mut first = spawn(&["stream", "10", "--in", "1"], &way);
    let mut stdin = first.stdin.take().unwrap();
    stdin.write_all(b"x\n").unwrap();
    let mut line = String::new();
    BufReader::new(first.stdout.as_mut().unwrap())
        .read_line(&mut line)
        .unwrap();
    let second = run(&["call", "9", "x"], &way, b"");
    assert_eq!(second.code, Some(2), "{second:?}");
    drop(stdin);
    assert_eq!(finish(first).code, Some(0));
}

#[test]
fn a_node_between_that_goes_was_never_asked_to_call() {
    let cluster = Cluster::start();
    let options = ["--to", &cluster.names.dialer, "--via", &cluster.socket()];
    let options: Vec<String> = options.iter().map(|&word| word.to_owned()).collect();
    let child = spawn(&["call", "9", "x"], &options);
    // The wait for the link is under way once the node serves the command.
    let Cluster { mut a, .. } = cluster;
    a.wait_for(
        &["link state", "client.control", "connected to"],
        common::PATIENCE,
    );
    a.kill();
    let ended = finish(child);
    assert_eq!(ended.code, Some(3), "{ended:?}");
    assert!(!ended.line().contains("executed"), "{ended:?}");
}

#[test]
fn a_signal_gives_the_call_up() {
    let mut cluster = Cluster::start();
    for way in cluster.ways() {
        let child = spawn(&["call", "21", "30000"], &way);
        let is_join = way.iter().any(|word| word == "--local");
        if is_join {
            // The call is made right after the link is up; the signal may come before, which
            // ends the command the same way.
            cluster
                .b
                .wait_for(&["link state", "connected to"], common::PATIENCE);
        }
        let pid = Pid::from_raw(i32::try_from(child.id()).unwrap());
        // A signal before the program has begun to catch it ends it by itself, or does nothing where who started this has
        // it ignored, as shells do with what runs in the background.
        let ended = finish_told(child, Duration::from_millis(200), |_| {
            kill(pid, Signal::SIGINT).unwrap();
        });
        assert!(matches!(ended.code, Some(130) | None), "{ended:?}");
        assert_eq!(ended.stdout, b"");
    }
}

#[test]
fn a_reader_that_has_gone_is_told() {
    let cluster = Cluster::start();
    let big = cluster.dir.write("big", vec![7; 4_000_000]);
    let payload = format!("@{}", big.display());
    let mut child = spawn(&["call", "9", &payload], &cluster.via());
    drop(child.stdout.take());
    let ended = finish(child);
    assert_eq!(ended.code, Some(141), "{ended:?}");
    assert!(ended.line().contains("reader"), "{ended:?}");
}

#[test]
fn a_command_costs_a_live_node_no_link() {
    let cluster = Cluster::start();
    for way in cluster.ways() {
        for _ in 0..2 {
            assert_eq!(run(&["call", "9", "x"], &way, b"").code, Some(0));
        }
    }
    // One line says that the link came up. Another, before this node is told to end, would say that
    // it was lost.
    cluster.a.signal(Signal::SIGTERM);
    let b = cluster.names.b.clone();
    let Cluster { a, .. } = cluster;
    let ended = a.ended(common::PATIENCE);
    let before = ended
        .stderr
        .iter()
        .take_while(|line| !line.contains("SIGTERM"));
    let states: Vec<_> = before.filter(|line| line.contains(&b)).collect();
    assert!(
        matches!(states.as_slice(), [line] if line.contains("connected")),
        "{ended:?}"
    );
}

#[test]
fn who_joined_says_goodbye() {
    let mut cluster = Cluster::start();
    for (way, name) in [
        (cluster.dialing(), cluster.names.dialer.clone()),
        (cluster.listening(), cluster.names.listener.clone()),
    ] {
        assert_eq!(run(&["call", "9", "x"], &way, b"").code, Some(0));
        let farewell = ["link state", &name, "closed by the remote with status 1001"];
        cluster.b.wait_for(&farewell, common::PATIENCE);
    }
}

#[test]
fn a_control_socket_that_is_served_is_not_taken() {
    let cluster = Cluster::start();
    let second = Grid::start(&[
        "node",
        "--local",
        &cluster.names.dialer,
        "--peers",
        &cluster.names.peers(),
        "--listen",
        "127.0.0.1:0",
        "--control",
        &cluster.socket(),
    ]);
    let ended = second.ended(common::PATIENCE);
    assert_eq!(ended.status.code(), Some(2), "{ended:?}");
    assert!(
        ended.stderr.iter().any(|line| line.contains("--control")),
        "{ended:?}"
    );
    assert_eq!(run(&["call", "9", "x"], &cluster.via(), b"").code, Some(0));
}
