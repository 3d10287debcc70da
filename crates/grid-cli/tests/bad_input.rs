//! Input that can't be used: one line on stderr that names the value, exit code 2, nothing started.

mod common;

use std::net::TcpListener;

use common::{Grid, PATIENCE, TempDir};

const A: &str = "http://127.0.0.1:1";
const B: &str = "http://127.0.0.1:2";
const BOTH: &str = "http://127.0.0.1:1,http://127.0.0.1:2";

/// Runs `grid`, and asserts that it refuses in one line that has these parts.
#[track_caller]
fn refused(arguments: &[&str], parts: &[&str]) {
    Grid::start(arguments).ended(PATIENCE).is_refusal(parts);
}

#[test]
fn a_wrong_url() {
    refused(
        &["node", "--local", "127.0.0.1:1", "--peers", BOTH],
        &["--local", "'127.0.0.1:1'"],
    );
    refused(
        &[
            "node",
            "--local",
            A,
            "--peers",
            "http://127.0.0.1:1,http://b/path",
        ],
        &["--peers", "'http://b/path'"],
    );
    refused(
        &[
            "node",
            "--local",
            A,
            "--peers",
            "http://127.0.0.1:1,http://B:1",
        ],
        &["http://B:1"],
    );
    refused(&["node", "--local", A, "--peers", ""], &["--peers", "''"]);
    // What could not be resolved is refused before anything is bound.
    for url in ["http://[::1:9", "http://::1:9", "http://a\u{1b}[2J:9"] {
        let peers = format!("{A},{url}");
        let shown = format!("'{}'", url.replace('\u{1b}', "\\u{1b}"));
        refused(
            &["node", "--local", A, "--peers", &peers],
            &["--peers", &shown],
        );
    }
}

#[test]
fn a_local_name_that_is_no_peer() {
    refused(
        &["node", "--local", "http://127.0.0.1:3", "--peers", BOTH],
        &["'http://127.0.0.1:3'", A, B],
    );
}

#[test]
fn an_unknown_peer() {
    let dial = "http://127.0.0.1:3=127.0.0.1:4";
    refused(
        &["node", "--local", A, "--peers", BOTH, "--dial", dial],
        &["unknown peer 'http://127.0.0.1:3'", B],
    );
}

#[test]
fn a_peer_that_is_there_twice() {
    let peers = format!("{BOTH},{B}");
    refused(&["node", "--local", A, "--peers", &peers], &[B, "twice"]);
}

#[test]
fn a_port_in_use() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    refused(
        &["node", "--local", A, "--peers", BOTH, "--listen", &address],
        &["can't listen", &format!("'{address}'")],
    );
    let local = format!("http://{address}");
    let peers = format!("{local},{B}");
    refused(
        &["node", "--local", &local, "--peers", &peers],
        &["can't listen", &format!("'{address}'")],
    );
}

#[test]
fn a_missing_token() {
    let arguments = ["node", "--local", A, "--peers", BOTH];
    let ended = Grid::start_with(&arguments, &[]).ended(PATIENCE);
    ended.is_refusal(&["no token", "GRID_TOKEN"]);
    let file = "/nowhere/token";
    refused(
        &["node", "--local", A, "--peers", BOTH, "--token-file", file],
        &["--token-file", "'/nowhere/token'"],
    );
    let dir = TempDir::new();
    let empty = dir.write("token", "\n");
    let empty = empty.to_str().unwrap();
    refused(
        &["node", "--local", A, "--peers", BOTH, "--token-file", empty],
        &[empty, "empty"],
    );
    refused(
        &[
            "node",
            "--local",
            A,
            "--peers",
            BOTH,
            "--token-file",
            empty,
            "--token",
            "x",
        ],
        &["--token", "--token-file"],
    );
}

#[test]
fn values_that_are_none() {
    for (option, value) in [
        ("--ping", "fast"),
        ("--stream-ping", "-1"),
        ("--reread", "0"),
        ("--reread", "0.05"),
        ("--path", "grid"),
        ("--path", "/a?b"),
        ("--listen", "here"),
    ] {
        refused(
            &["node", "--local", A, "--peers", BOTH, option, value],
            &[option, &format!("'{value}'")],
        );
    }
}

#[test]
fn a_directory_that_cannot_be_read() {
    let dir = TempDir::new();
    let file = dir.write("file", "x");
    let file = file.to_str().unwrap();
    refused(&["demo", "--dir", file], &["--dir", &format!("'{file}'")]);
    refused(
        &["demo", "--dir", "/nowhere/at/all"],
        &["--dir", "'/nowhere/at/all'"],
    );
    refused(&["demo", "--cuts", "none"], &["--cuts", "'none'"]);
    refused(&["demo", "--seconds", "9..3"], &["--seconds", "'9..3'"]);
}

#[test]
fn arguments_that_are_missing_or_unknown() {
    refused(&["node", "--local", A], &["--peers"]);
    refused(&["walk"], &["walk"]);
    refused(&[], &["'node'", "'demo'"]);
    refused(&["demo", "--fast"], &["--fast"]);
}
