//! Numbers that come from calls: how long handlers take, and what goes over links.

use std::time::{Duration, Instant};

use grid_cli::probe::single::{ECHO, EMPTY, SLEEP};
use grid_transport::HandlerId;
use serde_json::Value;

use crate::{
    common::PATIENCE,
    http::get,
    watched::{Watched, no_links},
};

/// A table of the page by the id of its title: its header, and its rows cell by cell.
pub(crate) fn table(page: &str, title: &str) -> (Vec<String>, Vec<Vec<String>>) {
    let (_, rest) = page.split_once(&format!("id=\"{title}\"")).expect(title);
    let section = rest.split("<h2").next().unwrap_or_default();
    let (head, body) = section.split_once("<tbody>").expect("a table");
    let rows = body.split("<tr").skip(1).map(cells);
    (cells(head), rows.collect())
}

/// What stands in each cell, tags and all.
fn cells(row: &str) -> Vec<String> {
    let cells = row.replace("<thead", "").replace("<th", "<td");
    let cells = cells.replace("</th>", "</td>");
    let inner = |cell: &str| {
        let (_, rest) = cell.split_once('>').expect("a tag");
        rest.split("</td>").next().unwrap_or_default().to_owned()
    };
    cells.split("<td").skip(1).map(inner).collect()
}

/// The cell of a row that stands under this.
fn under<'a>(header: &[String], row: &'a [String], name: &str) -> &'a str {
    let at = header.iter().position(|each| each == name).expect(name);
    &row[at]
}

/// As the page shows a time.
fn seconds(text: &str) -> f64 {
    let (number, unit) = text.split_once(' ').expect("a number and a unit");
    let unit = match unit {
        "µs" => 1e-6,
        "ms" => 1e-3,
        "s" => 1.0,
        other => panic!("{other}"),
    };
    number.parse::<f64>().expect("a number") * unit
}

/// p50 and p99 of a handler, by the document and by the page.
fn quantiles(status: &str, of: HandlerId) -> [[f64; 2]; 2] {
    let document = get(status, "/status").body;
    let document: Value = serde_json::from_str(&document).expect("JSON");
    let handlers = document["handlers"].as_array().expect("handlers");
    let told = handlers
        .iter()
        .find(|each| each["handler"] == of.get() && each["subroute"].is_null());
    let told = told.expect("the handler");
    let told = ["p50_s", "p99_s"].map(|field| told[field].as_f64().expect("a time"));

    let page = get(status, "/").body;
    let (header, rows) = table(&page, "handlers-title");
    let row = rows
        .iter()
        .find(|row| *row[0] == of.get().to_string() && under(&header, row, "Subroute") == "–");
    let row = row.expect("a row");
    let shown = ["p50", "p99"].map(|name| seconds(under(&header, row, name)));
    [told, shown]
}

#[test]
fn handlers_show_how_long_half_of_their_calls_took_and_how_long_nearly_all() {
    const MOST: Duration = Duration::from_millis(400);
    const SLOWEST: Duration = Duration::from_secs(2);
    let watched = Watched::start(|_| vec![no_links()]);
    let millis = |time: Duration| time.as_millis().to_string().into_bytes();
    let calls = [vec![millis(MOST); 40], vec![millis(SLOWEST); 10]].concat();
    watched.call(SLEEP, calls);
    watched.call(ECHO, vec![b"x".to_vec(); 100]);

    let slow = quantiles(&watched.status, SLEEP);
    let fast = quantiles(&watched.status, ECHO);
    for ([p50, p99], [fast_p50, fast_p99]) in slow.into_iter().zip(fast) {
        // They are told to an eighth.
        let least = |time: Duration| time.as_secs_f64() * 7.0 / 8.0;
        assert!(p50 >= least(MOST) && p50 <= p99, "{slow:?}");
        assert!(p99 >= least(SLOWEST), "{slow:?}");
        assert!(fast_p50 <= fast_p99 && fast_p50 < p50, "{fast:?}, {slow:?}");
    }
}

/// Bytes a second as the page shows them.
fn rate(text: &str) -> f64 {
    let (number, unit) = text.split_once(' ').expect("a number and a unit");
    let power = ["B", "KiB", "MiB", "GiB"]
        .iter()
        .position(|each| *each == unit);
    let power = i32::try_from(power.expect(unit)).expect("a power");
    number.parse::<f64>().expect("a number") * 1024_f64.powi(power)
}

/// The curve of a link.
#[derive(Debug)]
struct Curve {
    /// Points of what came in.
    points: usize,
    most_in: f64,
    most_out: f64,
}

impl Curve {
    fn of(status: &str, remote: &str) -> Self {
        let page = get(status, "/").body;
        let (header, rows) = table(&page, "links-title");
        let row = rows.iter().find(|row| row[0] == remote).expect("a row");
        let curve = under(&header, row, "Curve");
        let within = |begin: &str, end: &str| {
            let (_, rest) = curve.split_once(begin)?;
            Some(rest.split(end).next().unwrap_or_default())
        };
        let points = within("class=\"in\" points=\"", "\"").unwrap_or_default();
        Self {
            points: points.split_whitespace().count(),
            most_in: rate(within("at the most ", "/s in").expect("the most")),
            most_out: rate(within("/s in and ", "/s out").expect("the most")),
        }
    }
}

#[test]
fn traffic_moves_the_curve_of_its_link() {
    let watched = Watched::start(|_| vec![no_links(), no_links()]);
    let [busy, quiet] = &watched.peers[..] else {
        panic!("two peers")
    };
    let begin = Instant::now();
    let curve_when = |wanted: &dyn Fn(&Curve) -> bool| loop {
        let curve = Curve::of(&watched.status, &busy.name);
        if wanted(&curve) {
            return curve;
        }
        assert!(begin.elapsed() < PATIENCE, "{curve:?}");
    };
    let before = curve_when(&|curve| curve.points >= 2);
    // Questions for rows go both ways, and little else.
    const MUCH: f64 = 1e6;
    assert!(
        before.most_in < MUCH && before.most_out < MUCH,
        "{before:?}"
    );

    // Answered with nothing, so that it goes only one way.
    let after = curve_when(&|curve| {
        watched.call(EMPTY, vec![vec![7; 1 << 20]; 4]);
        curve.points > before.points && curve.most_in >= MUCH
    });
    assert!(after.most_out < MUCH, "{after:?}");
    let other = Curve::of(&watched.status, &quiet.name);
    assert!(other.points > before.points, "{other:?}");
    assert!(other.most_in < MUCH && other.most_out < MUCH, "{other:?}");
}
