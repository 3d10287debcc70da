//! This grid's rate by that of each other.

use std::fmt::Write as _;

use crate::{
    peers::{GRID, GRID_LIBRARY, PEERS},
    point::What,
    results::Results,
    table::ranged,
};

/// A row for each point, a column for each of those that were run.
pub(crate) fn render(results: &Results) -> String {
    let others: Vec<&str> = PEERS
        .iter()
        .map(|peer| peer.name)
        .filter(|name| !name.starts_with(GRID) && results.has(name))
        .collect();
    let mut text = String::from("### This grid's rate by that of the others\n\n| |");
    for name in &others {
        // Writing to a string does not fail.
        let _ = write!(text, " {name} |");
    }
    text.push_str("\n| --- |");
    text.push_str(&" ---: |".repeat(others.len()));
    text.push('\n');
    for (point, _) in results.points() {
        // `grid load` has no streams of every capacity.
        let mine = match point.what {
            What::Echo => GRID,
            What::Items | What::EchoItems => GRID_LIBRARY,
        };
        let Some(mine) = results.get(mine, point) else {
            continue;
        };
        let _ = write!(text, "| {point} |");
        for name in &others {
            let ratio = results
                .get(name, point)
                .and_then(|other| mine.ratios(other, |run| Some(run.rate)));
            let _ = write!(text, " {} |", ranged(ratio, 1.0));
        }
        text.push('\n');
    }
    text
}
