//! `grid load` against real nodes: what it reports is what the handler's node counts.

#[path = "../common/mod.rs"]
mod common;
mod nodes;
mod refused;
mod terminal;
mod wrong;

use std::time::Duration;

use common::{Ended, PATIENCE, TempDir};
use nix::sys::signal::Signal;
use nodes::Nodes;
use serde_json::Value;

/// The report of a load that printed one JSON object and nothing else.
#[track_caller]
fn report(ended: &Ended) -> Value {
    assert_eq!(ended.stdout.lines().count(), 1, "{ended:?}");
    serde_json::from_str(&ended.stdout).unwrap_or_else(|error| panic!("{error}: {ended:?}"))
}

fn number(value: &Value) -> u64 {
    value
        .as_u64()
        .unwrap_or_else(|| panic!("{value} is no number"))
}

/// All operations that reached the node, as the command counts them.
fn made(report: &Value) -> u64 {
    let errors = report["errors"].as_object().unwrap();
    number(&report["operations"])
        + errors.values().map(number).sum::<u64>()
        + number(&report["abandoned"])
        + number(&report["warmup_operations"])
}

#[test]
fn every_handler_works_both_ways_and_both_sides_count_the_same() {
    let nodes = Nodes::start();
    for (name, id, payload) in [
        ("echo", 9, None),
        ("string-map", 41, None),
        ("items-1", 7, None),
        ("items-100", 59, None),
        ("echo-1", 10, None),
        ("echo-100", 22, None),
        ("count-1", 23, None),
        ("count-100", 60, None),
        ("21", 21, Some("3:x")),
    ] {
        for via in [false, true] {
            let before = nodes.handler(id);
            let mut arguments = vec![
                "--handler",
                name,
                "--par",
                "4",
                "--seconds",
                "0.3",
                "--warmup",
                "0.1",
                "--count",
                "150",
                "--json",
                "-q",
            ];
            arguments.extend(payload.iter().flat_map(|payload| ["--payload", *payload]));
            let ended = nodes.load(via, &arguments).ended(PATIENCE);
            assert_eq!(ended.status.code(), Some(0), "{name}: {ended:?}");
            assert!(ended.stderr.is_empty(), "{name}: {ended:?}");
            let report = report(&ended);
            assert_eq!(report["version"], 1);
            assert_eq!(report["handler"], name);
            assert!(number(&report["operations"]) >= 4, "{name}: {report}");
            assert_eq!(report["errors"], serde_json::json!({}), "{name}");
            let calls = nodes.handler(id).calls - before.calls;
            assert_eq!(made(&report), calls, "{name}, via {via}: {report}");
            if name.contains('-') && name != "string-map" {
                let items = number(&report["operations"]) * 150;
                assert_eq!(report["items"], items, "{name}");
            } else {
                assert_eq!(report["items"], Value::Null, "{name}");
            }
            let cpu = &report["cpu_s_per_million"];
            assert!(
                cpu["caller"].is_f64() && cpu["handler"].is_f64(),
                "{report}"
            );
            assert_eq!(cpu["via"].is_f64(), via, "{report}");
            assert_eq!(report["peak_memory_bytes"]["via"].is_u64(), via);
            let seconds = report["rate_over_time"].as_array().unwrap();
            let sum: u64 = seconds.iter().map(|second| number(&second[1])).sum();
            assert_eq!(report["operations"], sum);
        }
    }
}

#[test]
fn its_rate_is_what_callers_and_the_handlers_time_make() {
    let nodes = Nodes::start();
    let ended = nodes
        .load(
            false,
            &[
                "--handler",
                "21",
                "--payload",
                "1000",
                "--par",
                "20",
                "--seconds",
                "4",
                "--warmup",
                "0",
                "--json",
            ],
        )
        .ended(PATIENCE);
    assert_eq!(ended.status.code(), Some(0), "{ended:?}");
    let report = report(&ended);
    let counted = nodes.handler(21);
    assert_eq!(made(&report), counted.calls, "{report}");
    let expected = 20.0 * counted.calls as f64 / counted.time_s;
    let rate = report["rate"].as_f64().unwrap();
    assert!(
        (rate / expected - 1.0).abs() < 0.03,
        "{rate} is not {expected}"
    );
    assert!(
        number(&report["latency_ns"]["p50"]) >= 1_000_000_000,
        "{report}"
    );
    // Where stderr is no terminal there are lines.
    let lines: Vec<_> = ended
        .stderr
        .iter()
        .filter(|line| line.contains("of 4 s") && line.contains("operations/s now"))
        .collect();
    assert!(!lines.is_empty() && lines.len() <= 4, "{ended:?}");
}

#[test]
fn on_a_schedule_what_is_due_is_accounted_for() {
    let nodes = Nodes::start();
    let load = |more: &[&str]| {
        let arguments = [more, &["--seconds", "1.5", "--warmup", "0", "--json", "-q"]].concat();
        let ended = nodes.load(false, &arguments).ended(PATIENCE);
        assert_eq!(ended.status.code(), Some(0), "{ended:?}");
        report(&ended)
    };
    let kept_up = load(&["--rate", "200", "--par", "64"]);
    let open_loop = &kept_up["open_loop"];
    assert_eq!(open_loop["due"], 300);
    assert_eq!(made(&kept_up) + number(&open_loop["never_started"]), 300);
    assert_eq!(nodes.handler(9).calls, made(&kept_up));

    // One caller manages at most ten a second of the fifty that are due.
    let overload = load(&[
        "--rate",
        "50",
        "--par",
        "1",
        "--handler",
        "21",
        "--payload",
        "100",
    ]);
    let open_loop = &overload["open_loop"];
    assert_eq!(open_loop["due"], 75);
    assert!(number(&open_loop["never_started"]) >= 59, "{overload}");
    assert_eq!(made(&overload) + number(&open_loop["never_started"]), 75);
    assert!(
        number(&open_loop["late"]) >= made(&overload) - 1,
        "{overload}"
    );
    let waited = number(&overload["latency_ns"]["max"]);
    let served = number(&open_loop["service_ns"]["p50"]);
    assert!(served >= 100_000_000 && waited > 5 * served, "{overload}");
}

#[test]
fn errors_are_counted_by_kind_and_the_report_is_printed_all_the_same() {
    let nodes = Nodes::start();
    for via in [false, true] {
        let before = nodes.handler(13);
        let arguments = [
            "--handler",
            "13",
            "--payload",
            "no luck",
            "--seconds",
            "0.2",
            "--warmup",
            "0.1",
            "--par",
            "3",
            "--json",
            "-q",
        ];
        let ended = nodes.load(via, &arguments).ended(PATIENCE);
        assert_eq!(ended.status.code(), Some(1), "{ended:?}");
        let report = report(&ended);
        let failed = number(&report["errors"]["remote"]);
        assert_eq!(report["errors"], serde_json::json!({ "remote": failed }));
        assert_eq!(report["operations"], 0);
        assert_eq!(report["latency_ns"], Value::Null);
        assert_eq!(made(&report), nodes.handler(13).calls - before.calls);
        let [line] = ended.stderr.as_slice() else {
            panic!("not one line: {ended:?}")
        };
        assert!(
            line.contains("failed") && line.contains("no luck"),
            "{line}"
        );
    }
    let ended = nodes
        .load(
            false,
            &["--handler", "77", "--seconds", "0.2", "--warmup", "0", "-q"],
        )
        .ended(PATIENCE);
    assert_eq!(ended.status.code(), Some(1), "{ended:?}");
    assert!(ended.stdout.contains("unknown_handler"), "{ended:?}");
}

#[test]
fn a_node_that_goes_is_not_asked_all_the_time() {
    let mut nodes = Nodes::start();
    let mut load = nodes.load(
        false,
        &["--seconds", "4", "--warmup", "0", "--par", "4", "--json"],
    );
    load.wait_for(&["of 4 s"], PATIENCE);
    nodes.kill_handlers_node();
    let ended = load.ended(PATIENCE);
    assert_eq!(ended.status.code(), Some(1), "{ended:?}");
    let report = report(&ended);
    let unsent = number(&report["errors"]["not_connected"]);
    // At most two seconds, every 20 ms, by each of four.
    assert!((1..=4 * 110).contains(&unsent), "{report}");
    assert!(number(&report["operations"]) > 0);
    assert_eq!(report["cpu_s_per_million"]["handler"], Value::Null);
}

#[test]
fn a_signal_ends_it_with_a_report_of_what_was_measured() {
    let nodes = Nodes::start();
    for (waits, abandoned) in [("100", 0), ("30000", 5)] {
        let before = nodes.begun(21);
        let mut load = nodes.load(
            false,
            &[
                "--handler",
                "21",
                "--payload",
                waits,
                "--par",
                "5",
                "--seconds",
                "50",
                "--warmup",
                "0",
                "--json",
            ],
        );
        load.wait_for(&["of 50 s"], PATIENCE);
        load.signal(Signal::SIGINT);
        let ended = load.ended(PATIENCE);
        assert_eq!(ended.status.code(), Some(130), "{ended:?}");
        let report = report(&ended);
        assert_eq!(report["interrupted"], true);
        assert_eq!(report["abandoned"], abandoned, "{report}");
        assert_eq!(
            number(&report["operations"]) == 0,
            abandoned > 0,
            "{report}"
        );
        assert_eq!(made(&report), nodes.begun(21) - before);
        let last = ended.stderr.last().unwrap();
        assert!(last.starts_with("grid: interrupted after"), "{ended:?}");
    }
}

#[test]
fn a_plot_is_drawn_beside_the_report() {
    let nodes = Nodes::start();
    let dir = TempDir::new();
    let file = dir.path().join("load.svg");
    let ended = nodes
        .load(
            true,
            &[
                "--seconds",
                "0.3",
                "--warmup",
                "0",
                "-q",
                "--plot",
                file.to_str().unwrap(),
            ],
        )
        .ended(PATIENCE);
    assert_eq!(ended.status.code(), Some(0), "{ended:?}");
    for name in [
        "load",
        "operations",
        "latency",
        "payloads",
        "errors",
        "processor",
        "memory",
    ] {
        let there = ended.stdout.lines().any(|line| line.starts_with(name));
        assert!(there, "{name}: {ended:?}");
    }
    let svg = std::fs::read_to_string(&file).unwrap();
    assert!(svg.starts_with("<svg ") && svg.trim_end().ends_with("</svg>"));
    assert!(svg.contains("Latency by percentile") && svg.contains("over time"));
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
}

#[test]
fn one_thread_is_enough() {
    let nodes = Nodes::start();
    let ended = nodes
        .load(
            false,
            &[
                "--threads",
                "1",
                "--seconds",
                "0.3",
                "--warmup",
                "0.1",
                "--json",
                "-q",
            ],
        )
        .ended(Duration::from_secs(30));
    assert_eq!(ended.status.code(), Some(0), "{ended:?}");
    assert_eq!(report(&ended)["settings"]["threads"], 1);
}
