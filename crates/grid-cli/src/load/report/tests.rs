use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

use super::*;
use crate::{
    fault::FaultKind,
    load::{
        engine::Done,
        recorder::{Recorder, Times},
    },
    probe::Usage,
};

fn settings(rate: Option<f64>) -> Settings {
    Settings {
        to: "http://b:1".into(),
        handler: "echo".into(),
        par: 64,
        seconds: 10.0,
        warmup: 1.0,
        size: 512,
        count: rate.map(|_| 100),
        rate,
        timeout: 60.0,
        threads: 2,
    }
}

/// Three operations of 1, 2 and 3 ms that succeeded and three that failed, in two seconds.
pub(in crate::load) fn ran(due: Option<u64>) -> Ran {
    let start = Instant::now();
    let recorder = Recorder::new(start, 2).unwrap();
    let at = |millis| start + Duration::from_millis(millis);
    let times = |millis| Times {
        due: due.map(|_| start),
        begun: start + Duration::from_micros(500),
        ended: at(millis),
    };
    let done = Done {
        items: 2,
        bytes_out: 512,
        bytes_in: 1024,
    };
    for millis in [1, 2, 3] {
        let mut times = times(millis);
        if due.is_none() {
            times.begun = start;
        }
        recorder.record(times, Ok(done));
    }
    for (kind, ended) in [
        (FaultKind::Remote, 1000),
        (FaultKind::Deadline, 2000),
        (FaultKind::Remote, 1500),
    ] {
        let mut times = times(ended);
        times.begun = at(900);
        recorder.record(times, Err(Fault::new(kind, "told so")));
    }
    Ran {
        tally: recorder.total().unwrap(),
        elapsed: Duration::from_secs(2),
        abandoned: 0,
        interrupted: false,
        due,
    }
}

pub(in crate::load) fn report(rate: Option<f64>) -> Report {
    let usage = |user_s| Usage {
        user_s,
        sys_s: 0.0,
        peak_bytes: 1024 * 1024,
    };
    let warmup = Warmup {
        operations: 5,
        errors: 0,
    };
    let before = Used::of_caller(usage(1.0));
    let after = Used::of_caller(usage(2.5));
    let ran = ran(rate.map(|_| 8));
    Report::new(&settings(rate), &ran, warmup, &before, &after)
}

#[test]
fn the_object_has_the_keys_that_are_documented() {
    let json = report(Some(4.0)).json().unwrap();
    assert_eq!(json.iter().filter(|byte| **byte == b'\n').count(), 1);
    let object: Value = serde_json::from_slice(&json).unwrap();
    let keys: Vec<&str> = object
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    let page = include_str!("../../../../../docs/operations.md");
    for key in keys {
        assert!(
            page.contains(&format!("`{key}`")),
            "{key} is not documented"
        );
    }
    assert_eq!(object["version"], 1);
    assert_eq!(object["operations"], 3);
    assert_eq!(object["rate"], 1.5);
    assert_eq!(object["errors"]["remote"], 2);
    assert_eq!(object["errors"]["deadline"], 1);
    assert_eq!(object["warmup_operations"], 5);
    assert_eq!(object["bytes_in_per_s"], 1536.0);
    assert_eq!(object["items_per_s"], 3.0);
    assert_eq!(object["cpu_s_per_million"]["caller"], 500_000.0);
    assert_eq!(object["cpu_s_per_million"]["handler"], Value::Null);
    assert_eq!(object["peak_memory_bytes"]["caller"], 1024 * 1024);
    assert_eq!(object["rate_over_time"], serde_json::json!([[0, 3]]));
    assert_eq!(object["open_loop"]["due"], 8);
    assert_eq!(object["open_loop"]["late"], 3);
    assert_eq!(object["open_loop"]["never_started"], 2);
    assert_eq!(object["settings"]["timeout_s"], 60.0);
    let near = |value: &Value, wanted: u64| {
        let value = value.as_u64().unwrap();
        assert!(
            value.abs_diff(wanted) <= wanted / 500,
            "{value} is not {wanted}"
        );
    };
    near(&object["latency_ns"]["min"], 1_000_000);
    near(&object["latency_ns"]["p50"], 2_000_000);
    near(&object["latency_ns"]["max"], 3_000_000);
    near(&object["open_loop"]["service_ns"]["p50"], 1_500_000);
}

#[test]
fn what_there_is_not_is_null() {
    let object: Value = serde_json::from_slice(&report(None).json().unwrap()).unwrap();
    for key in ["open_loop", "items", "items_per_s"] {
        assert_eq!(object[key], Value::Null, "{key}");
    }
    let nothing = Ran {
        tally: crate::load::recorder::Tally::new().unwrap(),
        elapsed: Duration::ZERO,
        abandoned: 0,
        interrupted: false,
        due: None,
    };
    let used = Used::default();
    let report = Report::new(&settings(None), &nothing, Warmup::default(), &used, &used);
    assert_eq!((report.rate, report.latency_ns), (0.0, None));
    assert_eq!(report.cpu_s_per_million, Each::default());
    assert!(matches!(report.verdict(), Err(Failure::Failed(_))));
}

#[test]
fn failures_and_interruptions_are_told() {
    let mut report = report(None);
    let line = report.verdict().unwrap_err().line();
    assert_eq!(
        line,
        "3 operations failed: 2 remote, 1 deadline; the first: told so"
    );
    report.interrupted = true;
    assert!(matches!(report.verdict(), Err(Failure::Interrupted(_))));
    report.interrupted = false;
    report.errors.clear();
    assert_eq!(report.verdict(), Ok(()));
    report.warmup_errors = 1;
    assert!(report.verdict().is_err());
}
