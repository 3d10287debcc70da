//! Tokens of every kind, from files and from the environment.

use grid_proto::local_dials;
use nix::sys::signal::Signal;

use crate::common::{Grid, PATIENCE, TempDir};

const ONE: &str = "http://127.0.0.1:1";
const TWO: &str = "http://127.0.0.1:2";

/// A dialer and an acceptor by their names.
fn names() -> (&'static str, &'static str) {
    if local_dials(ONE, TWO) {
        (ONE, TWO)
    } else {
        (TWO, ONE)
    }
}

fn node(local: &str, more: &[&str], environment: &[(&str, &str)]) -> Grid {
    let peers = format!("{ONE},{TWO}");
    let words = [
        "node",
        "--local",
        local,
        "--peers",
        &peers,
        "--listen",
        "127.0.0.1:0",
    ];
    let environment = [environment, &[("RUST_LOG", "trace")]].concat();
    Grid::start_with(&[&words[..], more].concat(), &environment)
}

/// How a node is given its credentials: options and environment.
type Given<'a> = (&'a [&'a str], &'a [(&'a str, &'a str)]);

/// Two nodes with these credentials, until the dialer has said so. All that they say has no secret in it.
#[track_caller]
fn pair(of_acceptor: Given<'_>, of_dialer: Given<'_>, says: &[&str]) {
    let (one, two) = names();
    let mut acceptor = node(two, of_acceptor.0, of_acceptor.1);
    let dial = format!("{two}={}", acceptor.address());
    let more = [of_dialer.0, &["--dial", &dial]].concat();
    let mut dialer = node(one, &more, of_dialer.1);
    dialer.wait_for(says, PATIENCE);
    for node in [dialer, acceptor] {
        node.signal(Signal::SIGTERM);
        let ended = node.ended(PATIENCE);
        assert!(!format!("{ended:?}").contains("s3cret"), "{ended:?}");
    }
}

const CONNECTED: &[&str] = &["link state", "connected to"];

#[test]
fn nodes_that_know_a_secret_meet_and_nobody_shows_it() {
    let dir = TempDir::new();
    let file = dir.write("secret", "s3cret-one\n");
    let by_file: Given<'_> = (&["--shared-secret-file", file.to_str().unwrap()], &[]);
    let by_environment: Given<'_> = (&[], &[("GRID_SHARED_SECRET", "s3cret-one")]);
    pair(by_file, by_environment, CONNECTED);
    let other: Given<'_> = (&[], &[("GRID_SHARED_SECRET", "s3cret-two")]);
    pair(by_file, other, &["auth token: invalid token"]);
    let token: Given<'_> = (&[], &[("GRID_TOKEN", "s3cret-one")]);
    // What is no such proof is refused before anything is told.
    pair(by_file, token, &["refused the upgrade with status 403"]);
}

#[test]
fn nodes_with_the_same_two_keys_meet_as_those_of_minio_do() {
    let dir = TempDir::new();
    let file = dir.write("secret", "s3cret-one\n");
    let file = file.to_str().unwrap();
    let options = ["--jwt-access-key", "minio", "--jwt-secret-file", file];
    let by_options: Given<'_> = (&options, &[("GRID_TOKEN", "s3cret-ignored")]);
    let keys = |secret| {
        [
            ("GRID_JWT_ACCESS_KEY", "minio"),
            ("GRID_JWT_SECRET", secret),
        ]
    };
    pair(by_options, (&[], &keys("s3cret-one")), CONNECTED);
    let another = "signed with another secret key";
    pair(by_options, (&[], &keys("s3cret-two")), &[another]);
    let mixed = (&["--jwt-access-key", "root"][..], &keys("s3cret-one")[..]);
    pair(by_options, mixed, &["for another access key"]);
}

#[test]
fn an_open_grid_lets_everybody_in_and_says_so() {
    let open: Given<'_> = (&["--no-auth"], &[]);
    pair(open, (&[], &[("GRID_TOKEN", "s3cret")]), CONNECTED);
    let mut node = node(ONE, &["--no-auth"], &[]);
    node.wait_for(&["WARN", "--no-auth", "whoever"], PATIENCE);
}
