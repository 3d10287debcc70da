//! What a person sees while the demo runs, on stderr: bars on a terminal, else plain lines.

use std::{
    io::{IsTerminal, Write},
    time::Duration,
};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use super::message::PeerTally;
use crate::{failure::printable, table};

/// Plain lines of the counts come no more often than this.
const LINE_EVERY: Duration = Duration::from_secs(2);

/// Bars or lines.
#[derive(Debug)]
pub(super) enum Progress {
    Bars {
        all: MultiProgress,
        nodes: Vec<ProgressBar>,
        cuts: ProgressBar,
    },
    Lines {
        next: Duration,
    },
}

impl Progress {
    /// Bars where stderr is a terminal.
    pub(super) fn new(nodes: usize, cuts: usize) -> Self {
        if !std::io::stderr().is_terminal() {
            return Self::Lines {
                next: Duration::ZERO,
            };
        }
        let all = MultiProgress::new();
        let style = style("{prefix:8} {bar:32} {pos:>7}/{len:<7} files  {msg}");
        let node = |at: usize| {
            let bar = all.add(ProgressBar::new(0).with_style(style.clone()));
            bar.set_prefix(format!("node {}", at + 1));
            bar
        };
        let nodes = (0..nodes).map(node).collect();
        let bar = ProgressBar::new(cuts as u64).with_style(self::style(
            "{prefix:8} {bar:32} {pos:>7}/{len:<7} hits   {msg}",
        ));
        let cuts = all.add(bar);
        cuts.set_prefix("cuts");
        Self::Bars { all, nodes, cuts }
    }

    /// Says something that stays.
    pub(super) fn note(&self, text: &str) {
        // A file's name may hold whatever a terminal obeys.
        let text = printable(text);
        match self {
            // Where a terminal fails there is nobody to tell.
            Self::Bars { all, .. } => drop(all.println(text)),
            Self::Lines { .. } => drop(writeln!(std::io::stderr(), "{text}")),
        }
    }

    /// Shows the counts of every node, and how many cuts have hit.
    pub(super) fn show(&mut self, now: Duration, nodes: &[PeerTally], hits: usize, wanted: usize) {
        match self {
            Self::Bars {
                nodes: bars, cuts, ..
            } => {
                for (bar, tally) in bars.iter().zip(nodes) {
                    bar.set_length(tally.pass_files);
                    bar.set_position(tally.pass_done);
                    bar.set_message(summary(tally));
                }
                cuts.set_position(hits as u64);
                cuts.set_message(format!("{:.1} s", now.as_secs_f64()));
            }
            Self::Lines { next } => {
                if now >= *next {
                    *next = now + LINE_EVERY;
                    let mut sum = PeerTally::default();
                    nodes.iter().for_each(|tally| sum.add(tally));
                    let line = format!(
                        "{:5.1} s  {}, {hits} of {wanted} cuts have hit",
                        now.as_secs_f64(),
                        summary(&sum)
                    );
                    self.note(&line);
                }
            }
        }
    }

    /// Takes the bars away.
    pub(super) fn clear(&self) {
        if let Self::Bars { all, .. } = self {
            // As above: nobody to tell.
            drop(all.clear());
        }
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template)
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("━╸─")
}

fn summary(tally: &PeerTally) -> String {
    format!(
        "{} files, {} compared, {} interrupted, {} mismatches",
        table::count(tally.files),
        table::bytes(tally.bytes),
        table::count(tally.calls_interrupted + tally.streams_interrupted),
        table::count(tally.mismatches),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_templates_are_valid() {
        assert!(
            ProgressStyle::with_template("{prefix:8} {bar:32} {pos:>7}/{len:<7} files  {msg}")
                .is_ok()
        );
    }

    #[test]
    fn a_summary_says_what_counts() {
        let tally = PeerTally {
            files: 1200,
            bytes: 2048,
            calls_interrupted: 3,
            streams_interrupted: 1,
            ..PeerTally::default()
        };
        assert_eq!(
            summary(&tally),
            "1,200 files, 2.00 KiB compared, 4 interrupted, 0 mismatches"
        );
    }
}
