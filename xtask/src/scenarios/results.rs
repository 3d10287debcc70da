//! What a runner of tests said, read from its output.

use std::collections::BTreeMap;

use super::rows::is_id;

pub(super) const PASSED: &str = "passed";
const FAILED: &str = "FAILED";
const NOT_RUN: &str = "not run";

/// How each test ended, by the name of its function, and which rows were scaled down.
#[derive(Default)]
pub(super) struct Results {
    ended: BTreeMap<String, bool>,
    scaled: BTreeMap<String, Vec<String>>,
}

impl Results {
    /// Reads the lines of nextest (`PASS [time] binary path::name`) or of libtest (`test path::name ... ok`).
    pub(super) fn read(said: &str) -> Self {
        let mut results = Self::default();
        for line in said.lines().map(str::trim) {
            if let Some((name, passed)) = nextest(line).or_else(|| libtest(line)) {
                let name = name.rsplit("::").next().unwrap_or(name).to_owned();
                // Where two have one name the worse result counts.
                *results.ended.entry(name).or_insert(true) &= passed;
            } else if let Some((row, how)) = line.split_once(": ")
                && is_id(row)
                && how.starts_with("scaled to ")
            {
                let all = results.scaled.entry(row.to_owned()).or_default();
                if !all.iter().any(|known| known == how) {
                    all.push(how.to_owned());
                }
            }
        }
        results
    }

    pub(super) fn of(&self, name: &str) -> &'static str {
        match self.ended.get(name) {
            Some(true) => PASSED,
            Some(false) => FAILED,
            None => NOT_RUN,
        }
    }

    pub(super) fn scaled(&self, row: &str) -> impl Iterator<Item = &str> {
        self.scaled
            .get(row)
            .into_iter()
            .flatten()
            .map(String::as_str)
    }
}

fn nextest(line: &str) -> Option<(&str, bool)> {
    let (verdict, rest) = line.split_once(" [")?;
    let passed = match verdict {
        "PASS" => true,
        "FAIL" | "TIMEOUT" | "SIGABRT" | "SIGSEGV" | "SIGKILL" | "ABORT" => false,
        _ => return None,
    };
    let (_, test) = rest.split_once(']')?;
    Some((test.split_whitespace().last()?, passed))
}

fn libtest(line: &str) -> Option<(&str, bool)> {
    let (name, verdict) = line.strip_prefix("test ")?.split_once(" ... ")?;
    match verdict {
        "ok" => Some((name, true)),
        "FAILED" => Some((name, false)),
        _ => None,
    }
}

#[cfg(test)]
mod unit {
    use super::*;

    #[test]
    fn both_runners() {
        let said = "  PASS [   0.012s] ( 1/10) grid-transport::rows calls::c01_a
            FAIL [   0.5s] grid-transport::rows c02_b
            test m::l03_c ... ok
            test l04_d ... FAILED
            test l05_e ... ignored
            C20: scaled to 20000 of 1000000 plain calls
            C20: scaled to 20000 of 1000000 plain calls
            note: scaled to nothing";
        let results = Results::read(said);
        let ended = ["c01_a", "c02_b", "l03_c", "l04_d", "l05_e"].map(|name| results.of(name));
        assert_eq!(ended, [PASSED, FAILED, PASSED, FAILED, NOT_RUN]);
        let scaled: Vec<_> = results.scaled("C20").collect();
        assert_eq!(scaled, ["scaled to 20000 of 1000000 plain calls"]);
    }

    #[test]
    fn of_two_with_one_name_the_worse_counts() {
        let results = Results::read("FAIL [ 1s] a c01_a\nPASS [ 1s] b c01_a\n");
        assert_eq!(results.of("c01_a"), FAILED);
    }
}
