//! `grid demo`: four processes, cuts, nothing lost, nothing left behind.

mod common;

use std::{fs, os::unix::fs::symlink, sync::mpsc::channel, thread};

use common::{Grid, PATIENCE, TempDir};
use nix::{
    sys::{
        prctl::set_child_subreaper,
        signal::{Signal, kill},
        stat::Mode,
        wait::{WaitStatus, waitpid},
    },
    unistd::{Pid, mkfifo},
};

/// Some small files, one of several pieces, an empty one, and what must be left out.
fn tree() -> TempDir {
    let dir = TempDir::new();
    for at in 0..60_usize {
        dir.write(
            &format!("d{}/file{at}", at % 7),
            format!("{at}\n").repeat(at * 97),
        );
    }
    let large: Vec<u8> = (0..1_500_000_u32).map(|at| (at % 253) as u8).collect();
    dir.write("large", large);
    dir.write("empty", "");
    dir.write("target/left/out", "x");
    dir
}

#[test]
fn a_short_demo_ends_well_and_leaves_nothing() {
    let dir = tree();
    let grid = Grid::start(&[
        "demo",
        "--dir",
        dir.text(),
        "--cuts",
        "3",
        "--seconds",
        "2..30",
    ]);
    let family = grid.family();
    let ended = grid.ended(2 * PATIENCE);
    assert_eq!(ended.status.code(), Some(0), "{ended:#?}");
    assert_eq!(family.alive(), []);

    let (table, summary) = ended
        .stdout
        .trim_end()
        .rsplit_once("\n\n")
        .expect("a table and a line");
    assert_eq!(table.lines().count(), 1 + 6, "{table}");
    for pair in ["1–2", "1–3", "1–4", "2–3", "2–4", "3–4"] {
        assert!(table.lines().any(|line| line.starts_with(pair)), "{table}");
    }
    let value = |what: &str| -> u64 {
        let (before, _) = summary
            .split_once(what)
            .unwrap_or_else(|| panic!("no {what} in {summary:?}"));
        let number = before.trim_end().rsplit(' ').next().unwrap_or_default();
        number
            .replace(',', "")
            .parse()
            .unwrap_or_else(|_| panic!("{number:?} in {summary:?}"))
    };
    assert_eq!(value("mismatches"), 0);
    assert!(value("cuts") >= 3, "{summary}");
    assert!(value("interrupted") > 0, "{summary}");
    // Each node reads the 62 files of the three others, once at least.
    assert!(value("files") >= 4 * 3 * 62, "{summary}");
    // Where there is no terminal there are plain lines.
    assert!(
        ended
            .stderr
            .iter()
            .any(|line| line.contains("has read 62 files")),
        "{ended:#?}"
    );
    assert!(
        ended.stderr.iter().all(|line| !line.contains('\u{1b}')),
        "{ended:#?}"
    );
}

#[test]
fn an_interrupt_ends_all_processes() {
    let dir = tree();
    let mut grid = Grid::start(&["demo", "--dir", dir.text(), "--seconds", "60"]);
    let family = grid.family();
    grid.wait_for(&["all six pairs are connected"], PATIENCE);
    assert_eq!(family.alive().len(), 5);
    grid.signal(Signal::SIGINT);
    let ended = grid.ended(PATIENCE);
    assert_eq!(ended.status.code(), Some(130), "{ended:#?}");
    assert_eq!(family.alive(), []);
}

#[test]
fn nodes_end_when_their_parent_is_killed() {
    // Orphans come to this process, which can wait for them.
    set_child_subreaper(true).unwrap();
    let dir = tree();
    let mut grid = Grid::start(&["demo", "--dir", dir.text(), "--seconds", "60"]);
    let family = grid.family();
    grid.wait_for(&["all six pairs are connected"], PATIENCE);
    let parent = grid.pid();
    let nodes: Vec<Pid> = family
        .alive()
        .into_iter()
        .filter(|pid| *pid != parent)
        .collect();
    assert_eq!(nodes.len(), 4);
    grid.kill();
    let (sender, ends) = channel();
    thread::spawn(move || {
        for node in nodes {
            // Nobody waits any more once a test has failed.
            let _ = sender.send(waitpid(node, None));
        }
    });
    for _ in 0..4 {
        let end = ends.recv_timeout(PATIENCE).expect("a node ends in time");
        assert!(matches!(end, Ok(WaitStatus::Exited(_, 0))), "{end:?}");
    }
    assert_eq!(family.alive(), []);
}

#[test]
fn an_empty_directory_has_nothing_to_lose() {
    let dir = TempDir::new();
    let grid = Grid::start(&[
        "demo",
        "--dir",
        dir.text(),
        "--cuts",
        "1",
        "--seconds",
        "1..20",
    ]);
    let ended = grid.ended(2 * PATIENCE);
    assert!(ended.stdout.contains("\n0 files, 0 B, "), "{ended:#?}");
    assert!(ended.stdout.contains(" 0 mismatches"), "{ended:#?}");
}

#[test]
fn a_file_that_changes_meanwhile_is_no_mismatch() {
    let dir = tree();
    let mut grid = Grid::start(&[
        "demo",
        "--dir",
        dir.text(),
        "--cuts",
        "1",
        "--seconds",
        "2..30",
    ]);
    grid.wait_for(&["all six pairs are connected"], PATIENCE);
    dir.write("large", "it was large");
    for (name, place) in [("d1/file1", "/dev/zero"), ("d2/file2", "/etc")] {
        fs::remove_file(dir.path().join(name)).unwrap();
        symlink(place, dir.path().join(name)).unwrap();
    }
    let pipe = dir.path().join("d3/file3");
    fs::remove_file(&pipe).unwrap();
    mkfifo(&pipe, Mode::S_IRWXU).unwrap();
    grid.wait_for(&["'large' changed on the disk meanwhile"], PATIENCE);
    let ended = grid.ended(2 * PATIENCE);
    assert_eq!(ended.status.code(), Some(0), "{ended:#?}");
    assert!(ended.stdout.contains(" 0 mismatches, "), "{ended:#?}");
    assert!(
        ended
            .stdout
            .trim_end()
            .ends_with(" changed on the disk meanwhile"),
        "{ended:#?}"
    );
}

#[test]
fn a_node_that_dies_ends_the_demo() {
    let dir = tree();
    let mut grid = Grid::start(&["demo", "--dir", dir.text(), "--seconds", "60"]);
    let family = grid.family();
    grid.wait_for(&["all six pairs are connected"], PATIENCE);
    let parent = grid.pid();
    let node = family
        .alive()
        .into_iter()
        .find(|pid| *pid != parent)
        .expect("a node");
    kill(node, Signal::SIGKILL).unwrap();
    let ended = grid.ended(PATIENCE);
    assert_eq!(ended.status.code(), Some(1), "{ended:#?}");
    let last = ended.stderr.last().expect("a line");
    assert!(
        last.starts_with("grid: node ") && last.ends_with(" has ended"),
        "{last}"
    );
    assert_eq!(family.alive(), []);
}
