//! Whether a run was one: a promise that nothing has tried to break was not kept.

use std::time::Duration;

use crate::verdict::Results;

/// Shorter runs need not have met everything.
pub const JUDGED_FROM: Duration = Duration::from_secs(60);
/// The fault for which each node needs a network of its own.
const CABLE: &str = "cable";
/// Each kind of fault.
const FAULTS: [&str; 14] = [
    "delay",
    "throttle",
    "stall both ways",
    "stall one way",
    "refuse",
    "cut (FIN)",
    "cut (RST)",
    "truncate (FIN)",
    "truncate (RST)",
    "SIGKILL",
    "SIGSTOP",
    "clock within 5 min",
    "clock beyond 5 min",
    CABLE,
];
/// Each kind of operation.
const OPERATIONS: [&str; 20] = [
    "echo",
    "blocking",
    "slow",
    "slow, aborted",
    "subroute",
    "failing",
    "panicking",
    "empty",
    "unknown handler",
    "dropped",
    "stream out",
    "stream out, dropped",
    "stream out, cancelled",
    "stream out, failing",
    "stream in",
    "stream in, no answer",
    "stream both ways",
    "typed",
    "typed stream out",
    "typed stream both ways",
];
/// Of so many operations, one may be so late that only the lag of the machine excuses it: where more
/// are, deadlines were not tested, the machine was.
const EXCUSED_ONE_OF: u64 = 25;
/// One of so many operations has to succeed, whatever goes wrong meanwhile: what is only ever refused shows nothing.
const SUCCEEDS_ONE_OF: u64 = 3;

/// The kinds of faults that a machine can do.
pub fn faults(cables: bool) -> impl Iterator<Item = &'static str> {
    FAULTS
        .into_iter()
        .filter(move |kind| cables || *kind != CABLE)
}

/// What a run did not do, and should have.
#[must_use]
pub fn lacking(results: &Results) -> Vec<String> {
    let counts = &results.counts;
    let mut lacking = Vec::new();
    if counts.succeeded == 0 {
        lacking.push("not one call succeeded".to_owned());
    }
    for kind in counts.operations.keys() {
        if !OPERATIONS.contains(&&**kind) {
            lacking.push(format!("nobody has asked for the operation {kind:?}"));
        }
    }
    for (node, succeeded) in results.repaired.iter().enumerate() {
        if *succeeded == 0 {
            lacking.push(format!(
                "not one call of node {node} succeeded after the repair"
            ));
        }
    }
    if results.took < JUDGED_FROM {
        return lacking;
    }
    let all: u64 = counts.operations.values().sum();
    if counts.succeeded * SUCCEEDS_ONE_OF < all {
        let succeeded = counts.succeeded;
        lacking.push(format!("only {succeeded} of {all} calls succeeded"));
    }
    if counts.excused * EXCUSED_ONE_OF > all {
        let excused = counts.excused;
        lacking.push(format!(
            "{excused} of {all} calls were late, and only the lag excuses it: the machine is too busy for a verdict"
        ));
    }
    if counts.reconnects == 0 {
        lacking.push("not one link reconnected".to_owned());
    }
    for kind in faults(results.not_run.is_none()) {
        if results.faults.get(kind).is_none_or(|count| *count == 0) {
            lacking.push(format!("no fault {kind:?}"));
        }
    }
    for kind in OPERATIONS {
        if counts.operations.get(kind).is_none_or(|count| *count == 0) {
            lacking.push(format!("no operation {kind:?}"));
        }
    }
    lacking
}

#[cfg(test)]
pub(crate) mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::chaos::Chaos;

    /// A run that did it all.
    pub(crate) fn enough() -> Results {
        let mut results = Results {
            took: JUDGED_FROM,
            faults: faults(true).map(|kind| (kind, 1)).collect(),
            repaired: vec![1; 5],
            ..Results::default()
        };
        results.counts.operations = OPERATIONS.iter().map(|kind| ((*kind).into(), 1)).collect();
        results.counts.succeeded = OPERATIONS.len() as u64;
        results.counts.reconnects = 1;
        results
    }

    #[test]
    fn the_kinds_of_faults_are_those_that_happen() {
        for cables in [true, false] {
            let mut chaos = Chaos::new(1, 5, cables);
            let happen: BTreeSet<_> = (0..2_000).map(|_| chaos.step().fault.title()).collect();
            assert_eq!(happen, faults(cables).collect());
        }
    }

    #[test]
    fn a_run_has_to_do_everything_once() {
        assert!(lacking(&enough()).is_empty());
        for kind in FAULTS {
            let mut results = enough();
            results.faults.remove(kind);
            assert_eq!(lacking(&results), [format!("no fault {kind:?}")]);
            results.not_run = Some("no namespaces".to_owned());
            assert_eq!(lacking(&results).len(), usize::from(kind != CABLE));
        }
        for kind in OPERATIONS {
            let mut results = enough();
            results.counts.operations.insert(kind.into(), 0);
            assert_eq!(lacking(&results), [format!("no operation {kind:?}")]);
        }
        let mut results = enough();
        results.counts.reconnects = 0;
        assert_eq!(lacking(&results), ["not one link reconnected"]);
        results.took = JUDGED_FROM / 2;
        assert!(lacking(&results).is_empty(), "too short to be judged");
    }

    #[test]
    fn what_the_lag_excuses_has_its_bound() {
        let mut results = enough();
        results.counts.operations.insert("echo".into(), 2_481);
        results.counts.succeeded = 2_500;
        results.counts.excused = 100;
        assert!(lacking(&results).is_empty());
        results.counts.excused = 101;
        assert_eq!(lacking(&results).len(), 1);
        results.took = JUDGED_FROM / 2;
        assert!(lacking(&results).is_empty(), "too short to be judged");
    }

    #[test]
    fn a_third_has_to_succeed() {
        let mut results = enough();
        results.counts.operations.insert("echo".into(), 2_981);
        results.counts.succeeded = 1_000;
        assert!(lacking(&results).is_empty());
        results.counts.succeeded = 999;
        assert_eq!(lacking(&results), ["only 999 of 3000 calls succeeded"]);
        results.took = JUDGED_FROM / 2;
        assert!(lacking(&results).is_empty(), "too short to be judged");
    }

    #[test]
    fn every_node_has_to_be_of_use_again_after_the_repair() {
        for took in [JUDGED_FROM, JUDGED_FROM / 2] {
            for node in 0..5 {
                let mut results = enough();
                results.took = took;
                results.repaired[node] = 0;
                let wanted = format!("not one call of node {node} succeeded after the repair");
                assert_eq!(lacking(&results), [wanted]);
            }
        }
    }

    #[test]
    fn an_operation_that_is_not_asked_for_is_told() {
        let mut results = enough();
        results.counts.operations.insert("another".into(), 1);
        assert_eq!(lacking(&results).len(), 1);
    }
}
