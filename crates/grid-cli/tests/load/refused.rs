//! Loads that never begin, or whose report nobody reads.

use std::process::{Command, Stdio};

use crate::{
    common::{Grid, PATIENCE, TempDir},
    nodes::Nodes,
};

#[test]
fn who_cannot_be_reached_is_told() {
    let dir = TempDir::new();
    let none = format!("unix:{}/none", dir.text());
    let ended = Grid::start(&["load", "--to", "http://b:1", "--via", &none]).ended(PATIENCE);
    assert_eq!(ended.status.code(), Some(3), "{ended:?}");
    assert_eq!(
        (ended.stdout.as_str(), ended.stderr.len()),
        ("", 1),
        "{ended:?}"
    );
    let mut nodes = Nodes::start();
    nodes.kill_handlers_node();
    let ended = nodes
        .load(false, &["--connect-timeout", "300ms"])
        .ended(PATIENCE);
    assert_eq!(ended.status.code(), Some(3), "{ended:?}");
    assert_eq!(
        (ended.stdout.as_str(), ended.stderr.len()),
        ("", 1),
        "{ended:?}"
    );
}

#[test]
fn wrong_usage_is_one_line() {
    let dir = TempDir::new();
    // There is no node: all of this is found before one is looked for.
    let none = format!("unix:{}/none", dir.text());
    let always = ["load", "--to", "http://b:1", "--via", &none];
    let missing = format!("{}/none/plot.svg", dir.text());
    for (more, part) in [
        (&["--handler", "nothing"][..], "--handler: 'nothing'"),
        (&["--par", "0"], "--par"),
        (&["--seconds", "x"], "--seconds: 'x'"),
        (&["--rate", "-3"], "--rate: '-3'"),
        (&["--size", "1", "--payload", "x"], "--payload"),
        (&["--payload", "@/nowhere/file"], "'/nowhere/file'"),
        (&["--handler", "items-1", "--payload", "x"], "--payload"),
        (&["--handler", "string-map", "--payload", "x"], "--payload"),
        (&["--plot", &missing], &missing),
        (&["--plot", dir.text()], dir.text()),
    ] {
        let ended = Grid::start(&[&always[..], more].concat()).ended(PATIENCE);
        assert_eq!(ended.status.code(), Some(2), "{more:?}: {ended:?}");
        let [line] = ended.stderr.as_slice() else {
            panic!("not one line: {ended:?}")
        };
        assert!(line.contains(part), "{line}");
    }
    let help = Grid::start(&["load", "--help"]).ended(PATIENCE);
    assert_eq!(help.status.code(), Some(0));
    assert!(help.stdout.contains("grid load --par 64"), "{help:?}");
}

#[test]
fn a_reader_that_has_gone_is_told() {
    let nodes = Nodes::start();
    let mut child = Command::new(env!("CARGO_BIN_EXE_grid"))
        .args(nodes.words(true, &["--seconds", "0.2", "--warmup", "0", "-q"]))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let ended = child.wait_with_output().unwrap();
    assert_eq!(ended.status.code(), Some(141), "{ended:?}");
    let stderr = String::from_utf8(ended.stderr).unwrap();
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
    assert!(stderr.contains("the report is lost"), "{stderr}");
}
