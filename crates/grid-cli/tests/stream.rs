//! `grid stream`: items in, items out, and an end that says whether that was all.

mod common;

use std::io::{BufRead, BufReader, Read, Write};

use common::cluster::{Cluster, Output, finish, run, spawn};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

#[track_caller]
fn complete(output: &Output, items: &[u8]) {
    assert_eq!(output.code, Some(0), "{output:?}");
    assert_eq!(output.stdout, items, "{output:?}");
    assert_eq!(output.stderr, "");
}

fn framed(items: &[&[u8]]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for item in items {
        bytes.extend_from_slice(&u32::try_from(item.len()).unwrap().to_be_bytes());
        bytes.extend_from_slice(item);
    }
    bytes
}

#[test]
fn lines_go_every_way_and_come_back() {
    let cluster = Cluster::start();
    let lines: String = (0..500).map(|line| format!("line {line}\n")).collect();
    for way in cluster.ways() {
        let echo = ["stream", "22", "--in", "100", "--out", "100"];
        complete(&run(&echo, &way, lines.as_bytes()), lines.as_bytes());
    }
    for way in [cluster.via(), cluster.dialing()] {
        // The capacity is 1, the last line has no end, and one is empty.
        let echo = ["stream", "10", "--in", "1"];
        complete(&run(&echo, &way, b"a\n\nb"), b"a\n\nb\n");
        complete(
            &run(&["stream", "23", "--in", "1"], &way, b"a\n\nb"),
            b"3\n",
        );
        complete(&run(&["stream", "23", "--in", "1"], &way, b""), b"0\n");
        let hex = ["stream", "7", "3:5", "--hex"];
        complete(
            &run(&hex, &way, b""),
            b"0000000000\n0101010101\n0202020202\n",
        );
        let sub = ["stream", "10", "--in", "1", "--subroute", "subroute/1"];
        complete(&run(&sub, &way, b"x\n"), b"x\n");
    }
}

#[test]
fn bytes_of_any_kind_go_framed() {
    let cluster = Cluster::start();
    let items = framed(&[b"a\nb", b"", &[0, 255], &[7; 100_000]]);
    let file = cluster.dir.write("items", &items);
    let file = format!("@{}", file.display());
    let way = cluster.via();
    let echo = ["stream", "10", "--in", "1", "--framed"];
    complete(&run(&echo, &way, &items), &items);
    let from_file = ["stream", "10", "--in", "1", "--framed", "--items", &file];
    complete(&run(&from_file, &way, b""), &items);
    // One that is cut short is not sent as if it were whole.
    let cut = run(&echo, &way, items.get(..items.len() - 1).unwrap());
    assert_eq!(cut.code, Some(1), "{cut:?}");
    assert!(cut.line().contains("stdin can't be read"), "{cut:?}");
    assert!(cut.line().contains("cancelled"), "{cut:?}");
}

#[test]
fn many_items_come_in_order_and_none_is_missing() {
    let cluster = Cluster::start();
    let expected: Vec<u8> = (0..20_000_u32)
        .flat_map(|item| [(item % 256) as u8; 16])
        .collect();
    for way in [cluster.via(), cluster.dialing()] {
        let items = ["stream", "59", "20000:16", "--out", "100", "--raw"];
        complete(&run(&items, &way, b""), &expected);
    }
}

#[test]
fn an_end_in_an_error_never_looks_complete() {
    let cluster = Cluster::start();
    for way in cluster.ways() {
        let failed = run(&["stream", "63", "3:out of disk"], &way, b"");
        assert_eq!(failed.code, Some(1), "{failed:?}");
        assert_eq!(failed.text(), "msg0\nmsg1\nmsg2\n");
        let lines: Vec<_> = failed.stderr.lines().collect();
        assert!(
            matches!(lines.as_slice(), [what, "remote: out of disk"] if what.contains("after 3 items")),
            "{failed:?}"
        );
    }
    let way = cluster.via();
    let unknown = run(&["stream", "77"], &way, b"");
    assert_eq!(unknown.code, Some(1), "{unknown:?}");
    assert!(
        unknown.stderr.contains("remote: Invalid Handler"),
        "{unknown:?}"
    );
    let late = run(&["stream", "65", "--timeout", "200ms"], &way, b"");
    assert_eq!(late.code, Some(1), "{late:?}");
    assert!(late.stderr.contains("deadline exceeded"), "{late:?}");
    // The nodes' definitions differ: this side takes fewer than the handler sends at once.
    let wide = run(&["stream", "59", "1000", "--out", "1"], &way, b"");
    assert_eq!(wide.code, Some(1), "{wide:?}");
}

#[test]
fn a_stream_is_interactive() {
    let cluster = Cluster::start();
    for way in [cluster.via(), cluster.dialing()] {
        let mut child = spawn(&["stream", "10", "--in", "1"], &way);
        let mut stdin = child.stdin.take().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        for word in ["one\n", "two\n"] {
            stdin.write_all(word.as_bytes()).unwrap();
            let mut line = String::new();
            stdout.read_line(&mut line).unwrap();
            assert_eq!(line, word);
        }
        drop(stdin);
        let mut rest = String::new();
        stdout.read_to_string(&mut rest).unwrap();
        assert_eq!(rest, "");
        assert_eq!(finish(child).code, Some(0));
    }
}

#[test]
fn a_signal_cancels_and_says_so() {
    let cluster = Cluster::start();
    for way in cluster.ways() {
        let mut child = spawn(&["stream", "10", "--in", "1"], &way);
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(b"x\n").unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        kill(
            Pid::from_raw(i32::try_from(child.id()).unwrap()),
            Signal::SIGINT,
        )
        .unwrap();
        let ended = finish(child);
        assert_eq!(ended.code, Some(130), "{ended:?}");
        assert_eq!(ended.line(), "grid: cancelled after 1 items");
    }
}

#[test]
fn a_reader_that_has_gone_cancels() {
    let cluster = Cluster::start();
    for way in [cluster.via(), cluster.dialing()] {
        let mut child = spawn(
            &["stream", "59", "1000000:1000", "--out", "100", "--raw"],
            &way,
        );
        let mut first = [0; 1000];
        child.stdout.take().unwrap().read_exact(&mut first).unwrap();
        let ended = finish(child);
        assert_eq!(ended.code, Some(141), "{ended:?}");
        assert!(ended.line().contains("cancelled"), "{ended:?}");
    }
}

#[test]
fn a_node_that_dies_ends_the_stream_in_an_error() {
    let cluster = Cluster::start();
    let mut child = spawn(&["stream", "10", "--in", "1"], &cluster.via());
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(b"x\n").unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().unwrap())
        .read_line(&mut line)
        .unwrap();
    // The handler's node goes, the node that carries the stream stays.
    let Cluster { b, a, .. } = cluster;
    b.kill();
    let ended = finish(child);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.stderr.contains("after 1 items"), "{ended:?}");
    drop(a);
}

#[test]
fn wrong_usage_names_what_is_wrong() {
    let cluster = Cluster::start();
    let way = cluster.via();
    for (words, part) in [
        (&["stream", "0"][..], "0"),
        (&["stream", "10", "--out", "0"], "--out"),
        (&["stream", "10", "--in", "1", "--items", "file"], "'file'"),
        (
            &["stream", "10", "--in", "1", "--items", "@/nowhere"],
            "/nowhere",
        ),
        (&["stream", "10", "--items", "-"], "--in"),
        (&["stream", "10", "-", "--in", "1"], "stdin"),
        (&["stream", "10", "--framed", "--hex"], "--framed"),
    ] {
        let refused = run(words, &way, b"");
        assert_eq!(refused.code, Some(2), "{words:?} {refused:?}");
        assert!(refused.line().contains(part), "{words:?} {refused:?}");
    }
}
