//! What a sample says, in words and numbers as people read them.

use std::time::Duration;

use super::sample::{LinkRates, Sample};
use crate::{
    failure::printable,
    status::LinkStatus,
    table::{Table, age, bytes, count, duration},
};

/// Where there is no value.
const NONE: &str = "-";

/// The state of a link that is up.
const CONNECTED: &str = "connected";

/// Whether a column's cells are numbers.
type Column = (&'static str, bool);

const COLUMNS: [Column; 14] = [
    ("REMOTE", false),
    ("STATE", false),
    ("SINCE", true),
    ("DIALS", false),
    ("RTT", true),
    ("CALLS", true),
    ("STREAMS", true),
    ("MSG/S IN", true),
    ("MSG/S OUT", true),
    ("BYTES/S IN", true),
    ("BYTES/S OUT", true),
    ("QUEUED", true),
    ("RECONN", true),
    ("LAST CAUSE", false),
];

/// Columns that stay when the others are moved: which link it is, and how it is.
const FIXED: usize = 2;

/// How far the columns can be moved.
pub(super) const MOST_SHIFT: usize = COLUMNS.len() - FIXED - 1;

/// The lines above the table: the node, and all its links together.
pub(super) fn heading(sample: &Sample) -> [String; 2] {
    let status = &sample.status;
    let up = status
        .links
        .iter()
        .filter(|link| link.state == CONNECTED)
        .count();
    let total = sample.total();
    let cpu = sample
        .cpu
        .map_or_else(|| NONE.to_owned(), |share| format!("{:.1}%", share * 100.0));
    [
        format!(
            "{}  grid {}  up {}  links {up}/{} connected",
            printable(&status.node),
            printable(&status.program),
            age(status.uptime_s),
            status.links.len(),
        ),
        format!(
            "in {} msg/s {}/s  out {} msg/s {}/s  cpu {cpu}  peak memory {}",
            rate(total.as_ref(), |rates| rates.messages_in_s),
            byte_rate(total.as_ref(), |rates| rates.bytes_in_s),
            rate(total.as_ref(), |rates| rates.messages_out_s),
            byte_rate(total.as_ref(), |rates| rates.bytes_out_s),
            bytes(status.process.peak_memory_bytes),
        ),
    ]
}

/// The table's lines, the header first. Links that are not connected come before the others; both
/// are by name. So many columns are moved out to the left.
pub(super) fn table(sample: &Sample, shift: usize) -> Vec<String> {
    let shown = |at: &usize| *at < FIXED || *at >= FIXED + shift.min(MOST_SHIFT);
    let mut table = Table::new();
    for (_, (header, number)) in (0..).zip(COLUMNS).filter(|(at, _)| shown(at)) {
        table = if number {
            table.number(header)
        } else {
            table.text(header)
        };
    }
    let mut links: Vec<_> = sample.links().collect();
    links.sort_by_key(|(link, _)| (link.state == CONNECTED, &link.remote));
    for (link, rates) in links {
        let cells = (0..).zip(cells(link, rates)).filter(|(at, _)| shown(at));
        table.row(cells.map(|(_, cell)| cell));
    }
    table.render().lines().map(str::to_owned).collect()
}

fn cells(link: &LinkStatus, rates: Option<&LinkRates>) -> [String; COLUMNS.len()] {
    let text = |text: &str| printable(text).into_owned();
    [
        text(&link.remote),
        text(&link.state),
        age(link.since_s),
        if link.dials { "us" } else { "them" }.to_owned(),
        link.round_trip_s
            .and_then(|time| Duration::try_from_secs_f64(time).ok())
            .map_or_else(|| NONE.to_owned(), duration),
        format!("{}/{}", link.open_requests, link.serving_requests),
        format!("{}/{}", link.open_streams, link.serving_streams),
        rate(rates, |rates| rates.messages_in_s),
        rate(rates, |rates| rates.messages_out_s),
        byte_rate(rates, |rates| rates.bytes_in_s),
        byte_rate(rates, |rates| rates.bytes_out_s),
        bytes(link.queued_bytes),
        count(link.reconnects),
        text(link.last_cause.as_deref().unwrap_or(NONE)),
    ]
}

fn rate(rates: Option<&LinkRates>, of: impl Fn(&LinkRates) -> f64) -> String {
    match rates.map(of) {
        None => NONE.to_owned(),
        Some(rate) if rate < 100.0 => format!("{rate:.1}"),
        Some(rate) => count(rate.round() as u64),
    }
}

fn byte_rate(rates: Option<&LinkRates>, of: impl Fn(&LinkRates) -> f64) -> String {
    rates.map_or_else(|| NONE.to_owned(), |rates| bytes(of(rates).round() as u64))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::sample_status;

    #[test]
    fn links_that_are_down_come_first() {
        let mut status = sample_status(["http://a:1", "http://d:1", "http://c:1", "http://b:1"]);
        status.links[1].state = "waiting".into();
        status.links[2].state = "connecting".into();
        let table = table(&Sample::first(status), 0);
        let names: Vec<_> = table
            .iter()
            .filter_map(|line| line.split_whitespace().next())
            .collect();
        assert_eq!(
            names,
            [
                "REMOTE",
                "http://c:1",
                "http://d:1",
                "http://a:1",
                "http://b:1"
            ]
        );
    }

    #[test]
    fn every_column_has_its_cell() {
        let before = sample_status(["http://a:1"]);
        let mut now = before.clone();
        now.uptime_s += 1.0;
        let link = &mut now.links[0];
        link.messages_in += 1234;
        link.messages_out += 5;
        link.bytes_in += 2048;
        link.dials = true;
        link.round_trip_s = Some(0.001_5);
        (link.open_requests, link.serving_requests) = (3, 4);
        (link.open_streams, link.serving_streams) = (5, 6);
        link.queued_bytes = 10;
        link.reconnects = 7;
        link.last_cause = Some("gone\n\u{1b}[2Jaway".into());
        link.since_s = 61.0;
        let sample = Sample::after(&before, now);
        let lines = table(&sample, 0);
        let cells: Vec<_> = lines[1].split("  ").map(str::trim).collect();
        let cells: Vec<_> = cells.into_iter().filter(|cell| !cell.is_empty()).collect();
        assert_eq!(
            cells,
            [
                "http://a:1",
                CONNECTED,
                "1m 01s",
                "us",
                "1.50 ms",
                "3/4",
                "5/6",
                "1,234",
                "5.0",
                "2.00 KiB",
                "0 B",
                "10 B",
                "7",
                "gone\\n\\u{1b}[2Jaway"
            ]
        );
        let heading = heading(&sample);
        assert!(heading[0].contains("links 1/1 connected"), "{heading:?}");
        assert!(
            heading[1].starts_with("in 1,234 msg/s 2.00 KiB/s"),
            "{heading:?}"
        );
    }

    #[test]
    fn columns_move_and_the_first_ones_stay() {
        let sample = Sample::first(sample_status(["http://a:1"]));
        let header = |shift| table(&sample, shift).remove(0);
        assert!(
            header(1).starts_with("REMOTE      STATE      DIALS"),
            "{}",
            header(1)
        );
        for shift in [MOST_SHIFT, usize::MAX] {
            let words: Vec<_> = header(shift)
                .split("  ")
                .map(|word| word.trim().to_owned())
                .collect();
            assert_eq!(words.last().map(String::as_str), Some("LAST CAUSE"));
            assert!(!words.contains(&"RECONN".to_owned()));
        }
    }
}
