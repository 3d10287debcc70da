//! The rows of `docs/scenarios.md` and the tests that show each.
//!
//! A test shows a row when the name of its function begins with the id of the row, in small letters: `c08_…`. Its layer
//! is `machine` in grid-proto, `pair` (nodes in memory) or `unit` (no connection at all) where the name ends so, and `tcp`
//! elsewhere.

pub(crate) mod found;
mod results;
mod rows;

use std::collections::BTreeMap;
use std::fs;

use self::found::Shown;
use self::results::{MEMORY, Results};
use crate::process;
use crate::report::{Done, Outcome, Stop};
use crate::{tests, workspace};

const PAGE: &str = "docs/scenarios.md";

const ROWS: &str = "test(/(^|::)[clht][0-9][0-9]_/)";

/// With what belongs to them and is not named after a row: the limits, which are the same in every run, and what is scaled
/// down beside the rows: what a peer can make a node hold, and hostile loads.
const IN_FULL: &str =
    "test(/(^|::)[clht][0-9][0-9]_/) | binary(scenario_memory) | binary(scenario_limits)";

/// Finds the tests of each row, runs them unless they are only to be listed, and prints the table of both.
pub(crate) fn run(list: bool, full: bool) -> Outcome {
    let root = workspace::root();
    let page = fs::read_to_string(root.join(PAGE))
        .map_err(|error| Stop::Failed(format!("{PAGE}: {error}")))?;
    let rows = rows::of(&page).map_err(Stop::Failed)?;
    let shown = found::below(&root).map_err(|error| Stop::Failed(format!("sources: {error}")))?;
    let results = if list {
        None
    } else {
        Some(run_all(&rows, full)?)
    };
    let table = Table::new(&rows, shown);
    table.print(results.as_ref());
    table.verdict(results.as_ref(), list)
}

/// Runs the tests of all rows, and in full what belongs to them.
fn run_all(rows: &[String], full: bool) -> Result<Results, Stop> {
    let everything = ["--workspace", "--all-features"];
    let nextest = tests::has_nextest();
    can_run(full, nextest)?;
    tests::build()?;
    let mut runner = if nextest {
        let mut command = process::cargo(["nextest", "run", "--no-fail-fast", "--color=never"]);
        command
            .args(everything)
            .args(["--status-level=pass", "--final-status-level=none"])
            .args(["--success-output=immediate", "-E"])
            .arg(if full { IN_FULL } else { ROWS });
        command
    } else {
        let mut command = process::cargo(["test", "--no-fail-fast", "--lib", "--bins", "--tests"]);
        command.args(everything).args(["--", "--show-output"]);
        command.args(rows.iter().map(|id| format!("{}_", id.to_lowercase())));
        command
    };
    runner.env("GRID_BIN", tests::grid()?);
    if full {
        runner.env("GRID_SCALE", "full");
    }
    let said = process::tee(&mut runner)?;
    Ok(Results::read(&said))
}

/// `cargo test` can't be told which programs to run whole beside the rows.
fn can_run(full: bool, nextest: bool) -> Result<(), Stop> {
    if full && !nextest {
        let install = "the scenarios in full need cargo-nextest: `cargo install cargo-nextest`";
        return Err(Stop::Missing(install.to_owned()));
    }
    Ok(())
}

struct Table {
    rows: BTreeMap<String, Vec<Shown>>,
    /// Tests that begin with an id that no row has.
    strays: Vec<String>,
}

impl Table {
    fn new(rows: &[String], shown: Vec<Shown>) -> Self {
        let mut table = Self {
            rows: rows.iter().map(|id| (id.clone(), Vec::new())).collect(),
            strays: Vec::new(),
        };
        for test in shown {
            match table.rows.get_mut(&test.row) {
                Some(tests) => tests.push(test),
                None => table.strays.push(test.name),
            }
        }
        table
    }

    fn print(&self, results: Option<&Results>) {
        println!("\n{:<4} {:<8} {:<8} test", "row", "layer", "result");
        for (id, tests) in &self.rows {
            if tests.is_empty() {
                println!("{id:<4} {:<8} {:<8} -", "-", "MISSING");
            }
            for test in tests {
                let result = results.map_or("-", |results| results.of(&test.program(), &test.name));
                let Shown { layer, name, .. } = test;
                println!("{id:<4} {layer:<8} {result:<8} {} {name}", test.home);
            }
            for scaled in results.into_iter().flat_map(|results| results.scaled(id)) {
                println!("{:<22} {scaled}", "");
            }
        }
        for line in Self::beside(results) {
            println!("{line}");
        }
    }

    /// What a table shows below its rows: what was scaled down that is in none of them.
    fn beside(results: Option<&Results>) -> Vec<String> {
        let scaled = results
            .into_iter()
            .flat_map(|results| results.scaled(MEMORY));
        scaled
            .map(|scaled| format!("{MEMORY:<22} {scaled}"))
            .collect()
    }

    fn verdict(&self, results: Option<&Results>, list: bool) -> Outcome {
        let mut wrong = Vec::new();
        let missing = self.rows.iter().filter(|(_, tests)| tests.is_empty());
        let missing: Vec<_> = missing.map(|(id, _)| id.as_str()).collect();
        if !missing.is_empty() {
            wrong.push(format!("no test for {}", missing.join(", ")));
        }
        if !self.strays.is_empty() {
            wrong.push(format!("no row for {}", self.strays.join(", ")));
        }
        let tests: Vec<_> = self.rows.values().flatten().collect();
        let misnamed = tests.iter().filter(|test| test.is_misnamed());
        let misnamed: Vec<_> = misnamed.map(|test| test.name.as_str()).collect();
        if !misnamed.is_empty() {
            wrong.push(format!(
                "under a paused clock, and neither _pair nor _unit by its name: {}",
                misnamed.join(", ")
            ));
        }
        if let Some(results) = results {
            let passed =
                |test: &&&Shown| results.of(&test.program(), &test.name) == results::PASSED;
            let bad = tests.iter().filter(|test| !passed(test));
            let bad: Vec<_> = bad.map(|test| test.name.as_str()).collect();
            let mut beside: Vec<_> = results
                .failed()
                .filter(|name| !bad.contains(name))
                .collect();
            beside.dedup();
            if !beside.is_empty() {
                wrong.push(format!("failed beside the rows: {}", beside.join(", ")));
            }
            if !bad.is_empty() {
                wrong.push(format!("not passed: {}", bad.join(", ")));
            }
        }
        if !wrong.is_empty() {
            return Err(Stop::Failed(wrong.join("; ")));
        }
        let how = if list { "listed" } else { "passed" };
        Ok(Done::With(format!(
            "{} rows, {} tests {how}",
            self.rows.len(),
            tests.len()
        )))
    }
}

#[cfg(test)]
mod unit {
    use super::*;

    fn shown(row: &str, name: &str) -> Shown {
        Shown {
            row: row.to_owned(),
            name: name.to_owned(),
            layer: "tcp",
            paused: false,
            home: "grid/tests/t.rs".to_owned(),
        }
    }

    fn fault(table: &Table, results: Option<&Results>) -> String {
        table
            .verdict(results, results.is_none())
            .err()
            .map_or_else(String::new, |stop| stop.to_string())
    }

    #[test]
    fn in_full_nothing_is_left_out_for_want_of_a_runner() {
        assert!(matches!(can_run(true, false), Err(Stop::Missing(_))));
        for (full, nextest) in [(true, true), (false, true), (false, false)] {
            assert!(can_run(full, nextest).is_ok());
        }
    }

    #[test]
    fn a_row_without_a_test_and_a_test_without_a_row() {
        let rows = ["C01".to_owned(), "L02".to_owned()];
        let table = Table::new(&rows, vec![shown("C01", "c01_a"), shown("C99", "c99_b")]);
        assert_eq!(fault(&table, None), "no test for L02; no row for c99_b");
    }

    #[test]
    fn a_test_in_memory_is_not_listed_as_one_over_tcp() {
        let paused = Shown {
            paused: true,
            ..shown("C01", "c01_a")
        };
        let table = Table::new(&["C01".to_owned()], vec![paused]);
        assert_eq!(
            fault(&table, None),
            "under a paused clock, and neither _pair nor _unit by its name: c01_a"
        );
    }

    #[test]
    fn what_is_scaled_beside_the_rows_is_shown_below_them() {
        let results = Results::read("memory: scaled to 16 of 64 peers\n");
        assert_eq!(
            Table::beside(Some(&results)),
            ["memory                 scaled to 16 of 64 peers"]
        );
        assert!(Table::beside(None).is_empty());
    }

    #[test]
    fn every_test_has_to_have_passed() {
        let rows = ["C01".to_owned()];
        let tests = vec![
            shown("C01", "c01_a"),
            shown("C01", "c01_b"),
            shown("C01", "c01_c"),
        ];
        let table = Table::new(&rows, tests);
        let results = Results::read(
            "        PASS [   0.1s] (1/2) grid::t c01_a\n        FAIL [   0.1s] (2/2) grid::t m::c01_b\n",
        );
        assert_eq!(fault(&table, Some(&results)), "not passed: c01_b, c01_c");
        let results = Results::read(
            "PASS [ 1s] grid::t c01_a\nPASS [ 1s] grid::t c01_b\nPASS [ 1s] grid::t c01_c\nFAIL [ 1s] grid::u other\n",
        );
        assert_eq!(
            fault(&table, Some(&results)),
            "failed beside the rows: other"
        );
        assert_eq!(fault(&table, None), "");
    }
}
