//! The tables, as Markdown.

use std::fmt::Write as _;

use crate::{
    point::{Spread, What},
    results::{Cell, Results},
};

/// One table for each point.
pub(crate) fn render(results: &Results) -> String {
    let mut text = String::new();
    for (point, cells) in results.points() {
        let unit = if point.what == What::Echo {
            "requests"
        } else {
            "items"
        };
        // Writing to a string does not fail.
        let _ = writeln!(text, "### {point}\n");
        let _ = writeln!(
            text,
            "| | thousand {unit} a second | p50 µs | p99 µs | p99.9 µs | cpu µs caller | cpu µs handler | \
             allocations | peak MiB |\n| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"
        );
        for (name, cell) in cells {
            let _ = writeln!(text, "{}", row(name, cell));
        }
        text.push('\n');
    }
    text
}

fn row(name: &str, cell: &Cell) -> String {
    let latency = |of: fn(&crate::point::Latency) -> f64| {
        number(cell.spread(|run| run.latency_ns.as_ref().map(of)), 1e3, 1)
    };
    let allocations = match cell.allocations() {
        Some((caller, handler)) => format!("{caller:.2} + {handler:.2}"),
        None => "–".to_owned(),
    };
    let peak = |side: Option<Spread>| number(side, f64::from(1 << 20), 1);
    format!(
        "| {name} | {} | {} | {} | {} | {} | {} | {allocations} | {} + {} |",
        ranged(cell.rate(), 1e3),
        latency(|latency| latency.p50),
        latency(|latency| latency.p99),
        latency(|latency| latency.p999),
        number(cell.spread(|run| run.caller.cpu_us), 1.0, 2),
        number(cell.spread(|run| run.handler.cpu_us), 1.0, 2),
        peak(cell.spread(|run| run.caller.peak_bytes)),
        peak(cell.spread(|run| run.handler.peak_bytes)),
    )
}

fn number(spread: Option<Spread>, unit: f64, digits: usize) -> String {
    spread.map_or_else(
        || "–".to_owned(),
        |spread| format!("{:.digits$}", spread.median / unit),
    )
}

/// `12.3 (11.9–12.8)`
pub(crate) fn ranged(spread: Option<Spread>, unit: f64) -> String {
    spread.map_or_else(
        || "–".to_owned(),
        |Spread { median, min, max }| {
            let digits = if median / unit < 10.0 { 2 } else { 1 };
            format!(
                "{:.digits$} ({:.digits$}–{:.digits$})",
                median / unit,
                min / unit,
                max / unit
            )
        },
    )
}
