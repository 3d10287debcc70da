//! What the demo says at its end, and whether it went well.

use std::{collections::BTreeMap, time::Duration};

use super::{
    message::{LinkFacts, PeerTally},
    pairs::Pair,
    schedule::Cut,
};
use crate::table::{self, Table};

/// Everything that was counted.
#[derive(Debug)]
pub(super) struct Report {
    pub(super) pairs: Vec<PairReport>,
    pub(super) cuts: Vec<Cut>,
    pub(super) time: Duration,
}

/// What was counted on one pair, at its two ends.
#[derive(Debug)]
pub(super) struct PairReport {
    pub(super) pair: Pair,
    pub(super) tallies: [PeerTally; 2],
    pub(super) facts: [LinkFacts; 2],
}

impl PairReport {
    fn sum(&self) -> PeerTally {
        let [a, b] = &self.tallies;
        let mut sum = a.clone();
        sum.add(b);
        sum
    }
}

impl Report {
    /// A table of the pairs and one line of all.
    pub(super) fn render(&self) -> String {
        format!("{}\n{}\n", self.table().render(), self.summary())
    }

    /// Why it did not go well; empty when it did.
    pub(super) fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        for PairReport {
            pair,
            tallies,
            facts,
        } in &self.pairs
        {
            if facts.iter().any(|facts| !facts.connected) {
                faults.push(format!("pair {} is not connected", pair.label()));
            }
            if tallies.iter().any(|tally| tally.passes == 0) {
                faults.push(format!("pair {} has not read its whole tree", pair.label()));
            }
        }
        let total = self.total();
        if total.mismatches > 0 {
            faults.push(format!("mismatches: {}", total.mismatches));
        }
        if total.calls_interrupted + total.streams_interrupted == 0 {
            faults.push("nothing was interrupted".to_owned());
        }
        faults
    }

    fn total(&self) -> PeerTally {
        let mut total = PeerTally::default();
        self.pairs.iter().for_each(|pair| total.add(&pair.sum()));
        total
    }

    fn summary(&self) -> String {
        let total = self.total();
        let inside = self.cuts.iter().filter(|cut| cut.mid_frame).count();
        let mut line = format!(
            "{} files, {}, {:.1} s, {} cuts ({inside} inside a frame), {} interrupted, {} mismatches",
            table::count(total.files),
            table::bytes(total.bytes),
            self.time.as_secs_f64(),
            self.cuts.len(),
            table::count(total.calls_interrupted + total.streams_interrupted),
            table::count(total.mismatches),
        );
        if total.changed > 0 {
            line.push_str(&format!(
                ", {} changed on the disk meanwhile",
                table::count(total.changed)
            ));
        }
        line
    }

    fn table(&self) -> Table {
        let mut table = Table::new()
            .text("pair")
            .text("dials")
            .number("round trip")
            .number("requests")
            .number("items")
            .number("bytes")
            .number("reconnects")
            .text("interrupted by each cut (calls+streams)")
            .text("errors");
        for (at, report) in (0..).zip(&self.pairs) {
            let pair = report.pair;
            let sum = report.sum();
            let [a, b] = &report.facts;
            let round_trip = a.round_trip_us.into_iter().chain(b.round_trip_us).min();
            table.row([
                pair.label(),
                format!("{}→{}", pair.dialer() + 1, pair.acceptor() + 1),
                round_trip.map_or_else(
                    || "–".to_owned(),
                    |micros| table::duration(Duration::from_micros(micros)),
                ),
                table::count(sum.requests),
                table::count(sum.items),
                table::bytes(a.bytes_in + b.bytes_in),
                table::count(a.reconnects.max(b.reconnects)),
                self.cuts_of(at),
                kinds(&sum.errors),
            ]);
        }
        table
    }

    fn cuts_of(&self, pair: usize) -> String {
        let cuts = self.cuts.iter().filter(|cut| cut.pair == pair);
        let texts: Vec<String> = cuts
            .map(|cut| format!("{} {}+{}", cut.kind.name(), cut.calls, cut.streams))
            .collect();
        or_dash(texts)
    }
}

fn kinds(errors: &BTreeMap<String, u64>) -> String {
    or_dash(
        errors
            .iter()
            .map(|(kind, count)| format!("{kind} {}", table::count(*count)))
            .collect(),
    )
}

fn or_dash(texts: Vec<String>) -> String {
    if texts.is_empty() {
        "–".to_owned()
    } else {
        texts.join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::proxy::CutKind;

    fn report() -> Report {
        let tally = PeerTally {
            passes: 1,
            files: 600,
            bytes: 1 << 20,
            requests: 700,
            items: 600,
            calls_interrupted: 32,
            streams_interrupted: 1,
            errors: BTreeMap::from([("disconnected".to_owned(), 33)]),
            ..PeerTally::default()
        };
        let facts = LinkFacts {
            connected: true,
            round_trip_us: Some(310),
            bytes_in: 3 << 19,
            reconnects: 1,
            ..LinkFacts::default()
        };
        let cut = Cut {
            pair: 0,
            kind: CutKind::Rst,
            at: Duration::from_secs(1),
            mid_frame: true,
            calls: 64,
            streams: 2,
            healed_after: Some(Duration::from_secs(1)),
        };
        let pair = PairReport {
            pair: Pair {
                a: 0,
                b: 1,
                a_dials: false,
            },
            tallies: [tally.clone(), tally],
            facts: [facts.clone(), facts],
        };
        Report {
            pairs: vec![pair],
            cuts: vec![cut],
            time: Duration::from_millis(15_260),
        }
    }

    #[test]
    fn a_good_run_reads_well() {
        let report = report();
        assert_eq!(report.faults(), Vec::<String>::new());
        assert_eq!(
            report.render(),
            "pair  dials  round trip  requests  items     bytes  reconnects  interrupted by each cut (calls+streams)  errors\n\
             1–2   2→1        310 µs     1,400  1,200  3.00 MiB           1  rst 64+2                                 disconnected 66\n\
             \n\
             1,200 files, 2.00 MiB, 15.3 s, 1 cuts (1 inside a frame), 66 interrupted, 0 mismatches\n"
        );
    }

    #[test]
    fn every_fault_is_named() {
        let mut bad = report();
        let pair = bad.pairs.first_mut().unwrap();
        pair.facts[1].connected = false;
        pair.tallies[0] = PeerTally {
            mismatches: 2,
            changed: 1,
            ..PeerTally::default()
        };
        pair.tallies[1] = PeerTally {
            passes: 1,
            ..PeerTally::default()
        };
        assert_eq!(
            bad.faults(),
            [
                "pair 1–2 is not connected",
                "pair 1–2 has not read its whole tree",
                "mismatches: 2",
                "nothing was interrupted"
            ]
        );
        assert!(
            bad.render()
                .ends_with("2 mismatches, 1 changed on the disk meanwhile\n")
        );
    }
}
