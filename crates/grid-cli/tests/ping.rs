//! `grid ping`: round trips, and what is told where there is none.

mod common;

use std::io::{BufRead, BufReader};

use common::cluster::{Cluster, finish, run, spawn};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

/// The number that follows `key`.
fn number(text: &str, key: &str) -> f64 {
    let (_, rest) = text
        .split_once(key)
        .unwrap_or_else(|| panic!("no {key} in {text}"));
    let digits = |c: char| c.is_ascii_digit() || c == '.';
    let end = rest.find(|c| !digits(c)).unwrap_or(rest.len());
    rest.get(..end).unwrap().parse().unwrap()
}

#[test]
fn every_ping_is_answered_and_summed_up() {
    let cluster = Cluster::start();
    for way in cluster.ways() {
        let output = run(&["ping", "-c", "4", "-i", "0.01"], &way, b"");
        assert_eq!(output.code, Some(0), "{output:?}");
        assert_eq!(output.stderr, "");
        let lines: Vec<_> = output.text().lines().collect();
        assert_eq!(lines.len(), 1 + 4 + 3, "{output:?}");
        assert!(lines[0].starts_with("PING ") && lines[0].ends_with(&cluster.names.b));
        let times: Vec<f64> = (1..=4)
            .map(|seq| {
                assert!(lines[seq].starts_with(&format!("seq={seq} ")), "{output:?}");
                number(lines[seq], "time=")
            })
            .collect();
        assert!(times.iter().all(|time| *time > 0.0), "{output:?}");
        assert_eq!(lines[6], "4 pings sent, 4 answered, 0.0% lost");
        let least = times.iter().copied().fold(f64::INFINITY, f64::min);
        let told = number(lines[7], "p99 = ");
        assert!((told - least).abs() <= least * 0.01 + 0.001, "{output:?}");
    }
}

#[test]
fn ctrl_c_ends_with_the_summary() {
    let cluster = Cluster::start();
    let mut child = spawn(&["ping", "-i", "0.01"], &cluster.via());
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    while !line.starts_with("seq=3 ") {
        line.clear();
        assert!(stdout.read_line(&mut line).unwrap() > 0, "it has ended");
    }
    kill(
        Pid::from_raw(i32::try_from(child.id()).unwrap()),
        Signal::SIGINT,
    )
    .unwrap();
    let rest: Vec<_> = stdout.lines().map(Result::unwrap).collect();
    assert!(
        rest.iter().any(|line| line.contains("0.0% lost")),
        "{rest:?}"
    );
    assert_eq!(finish(child).code, Some(0));
}

#[test]
fn a_link_that_is_lost_meanwhile_is_told() {
    let cluster = Cluster::start();
    let mut child = spawn(&["ping", "-c", "1000", "-i", "0.01"], &cluster.via());
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    while !line.starts_with("seq=3 ") {
        line.clear();
        assert!(stdout.read_line(&mut line).unwrap() > 0, "it has ended");
    }
    let Cluster { a, b, .. } = cluster;
    b.kill();
    let down = loop {
        line.clear();
        assert!(stdout.read_line(&mut line).unwrap() > 0, "it has ended");
        if line.contains("not connected") {
            break line;
        }
    };
    assert!(down.starts_with("seq="), "{down}");
    kill(
        Pid::from_raw(i32::try_from(child.id()).unwrap()),
        Signal::SIGINT,
    )
    .unwrap();
    let rest: Vec<_> = stdout.lines().map(Result::unwrap).collect();
    assert!(
        rest.iter()
            .any(|line| line.contains("% lost") && !line.contains(" 0.0%")),
        "{rest:?}"
    );
    assert_eq!(finish(child).code, Some(0));
    drop(a);
}

#[test]
fn who_is_not_there_is_not_pinged() {
    let cluster = Cluster::start();
    let options = [
        "--to",
        &cluster.names.dialer,
        "--via",
        &cluster.socket(),
        "--connect-timeout",
        "200ms",
    ];
    let options: Vec<String> = options.iter().map(|&word| word.to_owned()).collect();
    let output = run(&["ping", "-c", "1"], &options, b"");
    assert_eq!(output.code, Some(3), "{output:?}");
    assert_eq!(output.stdout, b"");
    assert!(output.line().contains("not connected"), "{output:?}");
    for (words, part) in [
        (["ping", "-c", "0"], "0"),
        (["ping", "-i", "-1"], "'-1'"),
        (["ping", "-i", "0.001"], "'0.001'"),
        (["ping", "-W", "x"], "'x'"),
    ] {
        let refused = run(&words, &cluster.via(), b"");
        assert_eq!(refused.code, Some(2), "{refused:?}");
        assert!(refused.line().contains(part), "{refused:?}");
    }
}
