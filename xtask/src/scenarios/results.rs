//! What a runner of tests said, read from its output.

use std::collections::BTreeMap;

use super::rows::is_id;

pub(super) const PASSED: &str = "passed";
/// In place of an id, where what is scaled down is in no row: what a peer can make a node hold.
pub(super) const MEMORY: &str = "memory";
const FAILED: &str = "FAILED";
const NOT_RUN: &str = "not run";

/// How each test ended, by its program where the runner says it and the name of its function, and what was scaled
/// down, by row.
#[derive(Default)]
pub(super) struct Results {
    ended: BTreeMap<(Option<String>, String), bool>,
    scaled: BTreeMap<String, Vec<String>>,
}

impl Results {
    /// Reads the lines of nextest (`PASS [time] binary path::name`) or of libtest (`test path::name ... ok`).
    pub(super) fn read(said: &str) -> Self {
        let mut results = Self::default();
        for line in said.lines().map(str::trim) {
            if let Some((program, name, passed)) = nextest(line).or_else(|| libtest(line)) {
                let name = name.rsplit("::").next().unwrap_or(name).to_owned();
                // Where two have one name the worse result counts.
                let key = (program.map(str::to_owned), name);
                *results.ended.entry(key).or_insert(true) &= passed;
            } else if let Some((row, how)) = line.split_once(": ")
                && (is_id(row) || row == MEMORY)
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

    pub(super) fn of(&self, program: &str, name: &str) -> &'static str {
        // A test that is run by nextest says its own lines too, without the program.
        let known = self.ended.get(&(Some(program.to_owned()), name.to_owned()));
        let said_by_nextest = self.ended.keys().any(|(program, _)| program.is_some());
        let known = known.or_else(|| {
            let alone = || self.ended.get(&(None, name.to_owned()));
            (!said_by_nextest).then(alone).flatten()
        });
        match known {
            Some(true) => PASSED,
            Some(false) => FAILED,
            None => NOT_RUN,
        }
    }

    /// The tests that failed, whether they show a row or not.
    pub(super) fn failed(&self) -> impl Iterator<Item = &str> {
        let failed = self.ended.iter().filter(|(_, passed)| !**passed);
        failed.map(|((_, name), _)| name.as_str())
    }

    pub(super) fn scaled(&self, row: &str) -> impl Iterator<Item = &str> {
        self.scaled
            .get(row)
            .into_iter()
            .flatten()
            .map(String::as_str)
    }
}

type Line<'a> = (Option<&'a str>, &'a str, bool);

fn nextest(line: &str) -> Option<Line<'_>> {
    let (verdict, rest) = line.split_once(" [")?;
    let passed = match verdict {
        "PASS" => true,
        "FAIL" | "TIMEOUT" | "SIGABRT" | "SIGSEGV" | "SIGKILL" | "ABORT" => false,
        _ => return None,
    };
    let (_, test) = rest.split_once(']')?;
    let mut words = test.split_whitespace().rev();
    let name = words.next()?;
    Some((words.next(), name, passed))
}

fn libtest(line: &str) -> Option<Line<'_>> {
    let (name, verdict) = line.strip_prefix("test ")?.split_once(" ... ")?;
    match verdict {
        "ok" => Some((None, name, true)),
        "FAILED" => Some((None, name, false)),
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
            PASS [   0.5s] grid-transport::others c02_b
            test c03_c ... ok
            memory: scaled to 16 of 64 peers
            C20: scaled to 20000 of 1000000 plain calls
            C20: scaled to 20000 of 1000000 plain calls
            note: scaled to nothing";
        let results = Results::read(said);
        let ended =
            ["c01_a", "c02_b", "c03_c"].map(|name| results.of("grid-transport::rows", name));
        assert_eq!(ended, [PASSED, FAILED, NOT_RUN]);
        assert_eq!(results.of("grid-transport::others", "c02_b"), PASSED);
        let plain =
            Results::read("test m::l03_c ... ok\ntest l04_d ... FAILED\ntest l05_e ... ignored");
        let ended = ["l03_c", "l04_d", "l05_e"].map(|name| plain.of("grid-transport::rows", name));
        assert_eq!(ended, [PASSED, FAILED, NOT_RUN]);
        let scaled: Vec<_> = results.scaled("C20").collect();
        assert_eq!(scaled, ["scaled to 20000 of 1000000 plain calls"]);
        let beside: Vec<_> = results.scaled(MEMORY).collect();
        assert_eq!(beside, ["scaled to 16 of 64 peers"]);
        assert_eq!(results.scaled("note").count(), 0);
    }

    #[test]
    fn of_two_with_one_name_the_worse_counts() {
        let results = Results::read("test c01_a ... FAILED\ntest c01_a ... ok\n");
        assert_eq!(results.of("a", "c01_a"), FAILED);
    }
}
