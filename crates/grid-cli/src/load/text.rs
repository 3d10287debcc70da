//! The report for people.

use std::time::Duration;

use super::report::{OpenLoop, Quantiles, Report};
use crate::table;

/// A line for each thing that was measured.
pub(super) fn render(report: &Report) -> String {
    let mut lines = Lines(String::new());
    lines.add("load", &load(report));
    lines.add(
        "operations",
        &format!(
            "{} in {:.2} s: {} a second",
            table::count(report.operations),
            report.elapsed_s,
            rate(report.rate)
        ),
    );
    if let (Some(items), Some(per_second)) = (report.items, report.items_per_s) {
        let (items, per_second) = (table::count(items), rate(per_second));
        lines.add("items", &format!("{items}: {per_second} a second"));
    }
    lines.add("latency", &quantiles(report.latency_ns.as_ref()));
    if let Some(open_loop) = &report.open_loop {
        lines.add("service", &service(open_loop.service_ns.as_ref()));
        lines.add("schedule", &schedule(open_loop));
    }
    lines.add(
        "payloads",
        &format!(
            "{}/s out, {}/s in",
            table::bytes(report.bytes_out_per_s as u64),
            table::bytes(report.bytes_in_per_s as u64)
        ),
    );
    lines.add("errors", &errors(report));
    lines.add("processor", &processor(report));
    lines.add("memory", &memory(report));
    lines.0
}

/// Names to the left, what they say to the right.
struct Lines(String);

impl Lines {
    fn add(&mut self, name: &str, says: &str) {
        self.0.push_str(&format!("{name:<10}  {says}\n"));
    }
}

fn load(report: &Report) -> String {
    format!("{}: {}", subject(report), manner(report))
}

/// What was loaded.
pub(super) fn subject(report: &Report) -> String {
    format!("{} to {}", report.handler, report.to)
}

/// And how.
pub(super) fn manner(report: &Report) -> String {
    let settings = &report.settings;
    let what = match settings.count {
        Some(count) => format!("streams of {} items", table::count(count)),
        None => "requests".to_owned(),
    };
    let pace = match settings.rate {
        Some(rate) => format!(
            "{} due a second, at most {} open",
            self::rate(rate),
            settings.par
        ),
        None => format!("{} at a time", settings.par),
    };
    format!(
        "{what}, {} each, {pace}, {} s",
        table::bytes(settings.size),
        settings.seconds
    )
}

pub(super) fn quantiles(latency: Option<&Quantiles>) -> String {
    let Some(latency) = latency else {
        return "none".to_owned();
    };
    format!(
        "min {}, p50 {}, p90 {}, p99 {}, p99.9 {}, max {}",
        time(latency.min),
        time(latency.p50),
        time(latency.p90),
        time(latency.p99),
        time(latency.p999),
        time(latency.max)
    )
}

fn service(latency: Option<&Quantiles>) -> String {
    match latency {
        Some(latency) => format!(
            "p50 {}, p99 {}, from when an operation was begun",
            time(latency.p50),
            time(latency.p99)
        ),
        None => "none".to_owned(),
    }
}

fn schedule(open_loop: &OpenLoop) -> String {
    format!(
        "{} due, {} begun late, {} never begun",
        table::count(open_loop.due),
        table::count(open_loop.late),
        table::count(open_loop.never_started)
    )
}

fn errors(report: &Report) -> String {
    let mut text = if report.errors.is_empty() {
        "none".to_owned()
    } else {
        report.errors_by_kind()
    };
    if report.abandoned > 0 {
        let abandoned = table::count(report.abandoned);
        text.push_str(&format!("; {abandoned} given up when interrupted"));
    }
    text
}

fn processor(report: &Report) -> String {
    let each = &report.cpu_s_per_million;
    let shown = |seconds: Option<f64>| match seconds {
        Some(seconds) => format!("{seconds:.2} s"),
        None => "unknown".to_owned(),
    };
    let mut text = format!(
        "{} here, {} at the handler's node",
        shown(each.caller),
        shown(each.handler)
    );
    if each.via.is_some() {
        text.push_str(&format!(", {} at the node between", shown(each.via)));
    }
    text.push_str(", for a million operations");
    text
}

fn memory(report: &Report) -> String {
    let each = &report.peak_memory_bytes;
    let shown = |bytes: Option<u64>| bytes.map_or_else(|| "unknown".to_owned(), table::bytes);
    let mut text = format!("{} here", shown(each.caller));
    if each.via.is_some() {
        text.push_str(&format!(", {} at the node between", shown(each.via)));
    }
    text.push_str(", at most");
    text
}

/// A rate with three digits at least.
pub(super) fn rate(rate: f64) -> String {
    match rate {
        100.0.. => table::count(rate.round() as u64),
        10.0.. => format!("{rate:.1}"),
        _ => format!("{rate:.2}"),
    }
}

/// A time from nanoseconds, with three digits where it has them.
pub(super) fn time(nanos: u64) -> String {
    let micros = nanos as f64 / 1e3;
    match nanos {
        0..9_995 => format!("{micros:.2} µs"),
        9_995..99_950 => format!("{micros:.1} µs"),
        99_950..999_500 => format!("{micros:.0} µs"),
        _ => table::duration(Duration::from_nanos(nanos.max(1_000_000))),
    }
}

#[cfg(test)]
mod tests {
    use super::{super::report::tests::report, *};

    #[test]
    fn every_part_has_its_line() {
        let text = render(&report(None));
        let names: Vec<_> = text
            .lines()
            .filter_map(|line| line.split_whitespace().next())
            .collect();
        assert_eq!(
            names,
            [
                "load",
                "operations",
                "latency",
                "payloads",
                "errors",
                "processor",
                "memory"
            ]
        );
        for part in [
            "echo to http://b:1: requests, 512 B each, 64 at a time, 10 s",
            "3 in 2.00 s: 1.50 a second",
            "min 1.00 ms, p50 2.00 ms",
            "2 remote, 1 deadline",
            "500000.00 s here, unknown at the handler's node, for a million operations",
            "1.00 MiB here, at most",
        ] {
            assert!(text.contains(part), "{part:?} is not in\n{text}");
        }
    }

    #[test]
    fn streams_and_schedules_have_more() {
        let text = render(&report(Some(4.0)));
        for part in [
            "streams of 100 items",
            "4.00 due a second, at most 64 open",
            "items       6: 3.00 a second",
            "service     p50 ",
            "8 due, 3 begun late, 2 never begun",
        ] {
            assert!(text.contains(part), "{part:?} is not in\n{text}");
        }
    }

    #[test]
    fn numbers_have_three_digits() {
        for (value, text) in [(0.5, "0.50"), (12.34, "12.3"), (1234.5, "1,235")] {
            assert_eq!(rate(value), text);
        }
        for (nanos, text) in [(1234, "1.23 µs"), (45_678, "45.7 µs"), (123_456, "123 µs")] {
            assert_eq!(time(nanos), text);
        }
    }
}
