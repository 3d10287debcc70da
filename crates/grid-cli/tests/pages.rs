//! What needs no grid: `grid peers`, `grid completions`, `--version`, the pages made from the help.

mod common;

use common::{TempDir, cluster::run};
use grid_proto::local_dials;

const NAMES: [&str; 3] = ["http://a:1", "https://b:2", "http://10.0.0.3:9000"];

#[test]
fn peers_says_who_dials_whom() {
    let mut words = vec!["peers"];
    words.extend(NAMES);
    let output = run(&words, &[], b"");
    assert_eq!(
        (output.code, output.stderr.as_str()),
        (Some(0), ""),
        "{output:?}"
    );
    let rows: Vec<Vec<&str>> = output
        .text()
        .lines()
        .skip(1)
        .take_while(|line| !line.is_empty())
        .map(|line| line.split_whitespace().collect())
        .collect();
    assert_eq!(rows.len(), 3, "{output:?}");
    for row in &rows {
        let [dialer, listener] = row.as_slice() else {
            panic!("{output:?}")
        };
        assert!(local_dials(dialer, listener), "{row:?}");
    }
    let dot = run(&["peers", "--dot", &NAMES.join(",")], &[], b"");
    assert_eq!(dot.code, Some(0), "{dot:?}");
    assert!(dot.text().starts_with("digraph "), "{dot:?}");
    for row in rows {
        let arrow = format!("\"{}\" -> \"{}\";", row[0], row[1]);
        assert!(dot.text().contains(&arrow), "{arrow} {dot:?}");
    }
}

#[test]
fn peers_refuses_what_is_no_name() {
    for (words, part) in [
        (&["peers"][..], "URL"),
        (&["peers", "a:1"], "'a:1'"),
        (&["peers", "http://a:1", "http://a:1"], "twice"),
        (&["peers", "http://a:1/x"], "'http://a:1/x'"),
    ] {
        let refused = run(words, &[], b"");
        assert_eq!(refused.code, Some(2), "{refused:?}");
        assert!(refused.line().contains(part), "{refused:?}");
    }
}

#[test]
fn completions_are_for_a_shell() {
    for shell in ["bash", "zsh", "fish"] {
        let output = run(&["completions", shell], &[], b"");
        assert_eq!(output.code, Some(0), "{output:?}");
        assert!(output.text().contains("connect-timeout"), "{shell}");
    }
    let refused = run(&["completions", "dos"], &[], b"");
    assert_eq!(refused.code, Some(2), "{refused:?}");
    assert!(refused.line().contains("dos"), "{refused:?}");
}

#[test]
fn the_version_names_the_commit() {
    let output = run(&["--version"], &[], b"");
    let version = output.text().trim();
    let number = format!("grid {}", env!("CARGO_PKG_VERSION"));
    assert!(version.starts_with(&number), "{version}");
    // Without a repository around it there is no commit to name.
    if let Some(commit) = version.strip_prefix(&format!("{number} (")) {
        let commit = commit.strip_suffix(')').unwrap();
        assert_eq!(commit.len(), 12, "{version}");
        assert!(
            commit.bytes().all(|byte| byte.is_ascii_hexdigit()),
            "{version}"
        );
    } else {
        assert_eq!(version, number);
    }
}

#[test]
fn man_pages_are_written_for_every_command() {
    let dir = TempDir::new();
    let target = format!("{}/new/man", dir.text());
    let output = run(&["pages", "man", &target], &[], b"");
    assert_eq!(output.code, Some(0), "{output:?}");
    for name in [
        "grid",
        "grid-node",
        "grid-call",
        "grid-stream",
        "grid-ping",
        "grid-peers",
    ] {
        let page = std::fs::read_to_string(format!("{target}/{name}.1")).unwrap();
        assert!(page.contains(".SH SYNOPSIS"), "{name}");
    }
    let unwritable = run(&["pages", "man", "/proc/none"], &[], b"");
    assert_eq!(unwritable.code, Some(1), "{unwritable:?}");
    assert!(unwritable.line().contains("/proc/none"), "{unwritable:?}");
}

#[test]
fn every_command_has_help_with_an_example() {
    let help = run(&["--help"], &[], b"");
    let commands: Vec<&str> = help
        .text()
        .lines()
        .skip_while(|line| *line != "Commands:")
        .skip(1)
        .take_while(|line| !line.is_empty())
        .filter_map(|line| line.split_whitespace().next())
        .filter(|name| *name != "help")
        .collect();
    assert!(
        commands.contains(&"node") && commands.contains(&"call"),
        "{help:?}"
    );
    for command in commands {
        let help = run(&[command, "--help"], &[], b"");
        assert_eq!(help.code, Some(0), "{help:?}");
        assert!(help.text().contains("Example"), "{command}");
        assert!(
            help.text().contains(&format!("grid {command} ")),
            "{command}"
        );
    }
}
