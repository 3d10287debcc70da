//! What a person sees while a load runs, on stderr: one line that is refreshed on a terminal, else
//! plain lines now and then.

use std::{
    io::{IsTerminal, Write},
    time::Duration,
};

use indicatif::{ProgressBar, ProgressFinish, ProgressStyle};
use tokio::time::Instant;

use super::recorder::Recorder;
use crate::table;

/// Plain lines come no more often than this.
const LINE_EVERY: Duration = Duration::from_secs(2);
/// The rate of the moment is that over about so long.
const MOMENT: Duration = Duration::from_secs(1);

/// Which run it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Warmup,
    Measured,
}

/// A line that is refreshed, lines, or nothing.
#[derive(Debug)]
pub(super) struct Progress {
    to: To,
    moment: Moment,
}

#[derive(Debug)]
enum To {
    Terminal(ProgressBar),
    Lines { next: Option<Instant> },
    Nobody,
}

impl Progress {
    pub(super) fn new(quiet: bool) -> Self {
        let to = if quiet {
            To::Nobody
        } else if std::io::stderr().is_terminal() {
            let bar = ProgressBar::new_spinner().with_style(style());
            // However the load ends, its line goes.
            To::Terminal(bar.with_finish(ProgressFinish::AndClear))
        } else {
            To::Lines { next: None }
        };
        Self {
            to,
            moment: Moment::default(),
        }
    }

    /// Shows how a run that takes `lasting` goes.
    pub(super) fn show(&mut self, part: Part, lasting: Duration, recorder: &Recorder) {
        if matches!(self.to, To::Nobody) {
            return;
        }
        let now = Instant::now();
        let since = now.duration_since(recorder.start());
        let (operations, failed) = recorder.counts();
        let rate = self.moment.rate(part, since, operations);
        let shown = || line(part, since, lasting, operations, failed, rate);
        match &mut self.to {
            To::Terminal(bar) => {
                bar.set_message(shown());
                bar.tick();
            }
            To::Lines { next } => {
                if now >= *next.get_or_insert(recorder.start() + LINE_EVERY) {
                    *next = Some(now + LINE_EVERY);
                    // Nobody is left to tell where stderr is closed.
                    let _ = writeln!(std::io::stderr(), "{}", shown());
                }
            }
            To::Nobody => {}
        }
    }

    /// Takes the line away.
    pub(super) fn clear(&self) {
        if let To::Terminal(bar) = &self.to {
            bar.finish_and_clear();
        }
    }
}

fn style() -> ProgressStyle {
    ProgressStyle::with_template("{spinner} {msg}")
        .unwrap_or_else(|_| ProgressStyle::default_spinner())
}

fn line(
    part: Part,
    since: Duration,
    lasting: Duration,
    operations: u64,
    failed: u64,
    rate: f64,
) -> String {
    let mut line = format!(
        "{}{:.1} of {} s  {} operations/s now, {} on average",
        match part {
            Part::Warmup => "warm-up ",
            Part::Measured => "",
        },
        since.as_secs_f64(),
        lasting.as_secs_f64(),
        table::count(rate.round() as u64),
        table::count((operations as f64 / since.as_secs_f64().max(1e-3)).round() as u64),
    );
    if failed > 0 {
        line.push_str(&format!(", {} failed", table::count(failed)));
    }
    if since > lasting {
        line.push_str(", waiting for the last ones");
    }
    line
}

/// The rate of late.
#[derive(Debug, Default)]
struct Moment {
    part: Option<Part>,
    from: (Duration, u64),
    rate: f64,
}

impl Moment {
    fn rate(&mut self, part: Part, since: Duration, operations: u64) -> f64 {
        if self.part != Some(part) {
            *self = Self {
                part: Some(part),
                ..Self::default()
            };
        }
        let (from, had) = self.from;
        let passed = since.saturating_sub(from);
        let first = from.is_zero();
        if passed >= MOMENT || first {
            self.rate = operations.saturating_sub(had) as f64 / passed.as_secs_f64().max(1e-3);
        }
        if passed >= MOMENT {
            self.from = (since, operations);
        }
        self.rate
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_template_is_valid() {
        assert!(ProgressStyle::with_template("{spinner} {msg}").is_ok());
    }

    #[test]
    fn the_rate_of_the_moment_follows() {
        let mut moment = Moment::default();
        let millis = Duration::from_millis;
        assert_eq!(moment.rate(Part::Warmup, millis(500), 50).round(), 100.0);
        assert_eq!(moment.rate(Part::Warmup, millis(1000), 200).round(), 200.0);
        // It stands for a moment, and then is that of this moment alone.
        assert_eq!(moment.rate(Part::Warmup, millis(1500), 200).round(), 200.0);
        assert_eq!(moment.rate(Part::Warmup, millis(2000), 210).round(), 10.0);
        // Another run begins from nothing.
        assert_eq!(moment.rate(Part::Measured, millis(100), 5).round(), 50.0);
    }

    #[test]
    fn a_line_says_how_it_goes() {
        let second = Duration::from_secs(1);
        assert_eq!(
            line(Part::Measured, second * 2, second * 10, 3000, 0, 1234.4),
            "2.0 of 10 s  1,234 operations/s now, 1,500 on average"
        );
        assert_eq!(
            line(Part::Warmup, second * 2, second, 10, 1, 5.0),
            "warm-up 2.0 of 1 s  5 operations/s now, 5 on average, 1 failed, waiting for the last ones"
        );
    }
}
