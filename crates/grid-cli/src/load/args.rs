//! `grid load`: arguments and the checked load.

use std::{num::NonZeroUsize, path::PathBuf, thread, time::Duration};

use clap::Args;

use super::{
    engine::Plan,
    report::Settings,
    workload::{Content, Target, Work},
};
use crate::{
    credentials::Environment,
    failure::Failure,
    output, payload,
    reach::{Reach, ReachArgs},
    values::{parse_duration, parse_seconds},
};

/// The deadline of an operation where none is given.
const TIMEOUT: Duration = Duration::from_secs(60);
/// No message is larger.
const LARGEST: u64 = 64 * 1024 * 1024;
/// No operations are due more often.
const HIGHEST_RATE: f64 = 1e7;
/// More threads than any machine has use for.
const MOST_THREADS: usize = 1024;

#[derive(Args, Debug)]
#[command(after_help = "Examples:
  grid load --par 64 --to http://10.0.0.2:9000 --via unix:/run/grid.sock
  grid load --handler items-100 --count 1000 --size 4096 --json \\
      --to http://10.0.0.2:9000 --via unix:/run/grid.sock
  grid load --rate 5000 --par 256 --seconds 60 --plot load.svg \\
      --to http://10.0.0.2:9000 --local http://10.0.0.9:9000 \\
      --peers http://10.0.0.1:9000,http://10.0.0.2:9000,http://10.0.0.9:9000 --token-file /run/token

Without --rate each of --par callers begins an operation when its last has ended. With it operations
are due at even distances, and their latency counts from when they were due, so that waiting for a
stuck peer is not left out; those that were due and not begun when the time was over are told.

--json prints one object: version, program, to, handler, settings, interrupted, elapsed_s,
operations, rate, errors {kind: count}, abandoned, warmup_operations, warmup_errors, latency_ns
{min, p50, p90, p99, p999, max, mean}, open_loop {due, late, never_started, service_ns} with --rate,
items, items_per_s, bytes_out, bytes_in, bytes_out_per_s, bytes_in_per_s, cpu_s_per_million and
peak_memory_bytes {caller, handler, via}, rate_over_time [[second, operations]]. What is unknown is
null.

Ctrl-C ends it early with a report of what was measured. Exit codes: 0 all operations succeeded,
1 some failed or gave a wrong answer, 2 wrong usage, 3 not connected, 130 interrupted.")]
pub(crate) struct LoadArgs {
    /// The node to load.
    #[arg(long, value_name = "URL")]
    to: String,
    /// What an operation is: echo or string-map, a single request; items-1 or items-100, a stream of
    /// items from the node; echo-1 or echo-100, a stream of items there and back; count-1 or
    /// count-100, a stream of items to the node; or an id from 1 to 255, a single request whose
    /// answer is not looked at. The number is the capacity.
    #[arg(
        long,
        value_name = "NAME|ID",
        default_value = "echo",
        allow_negative_numbers = true
    )]
    handler: String,
    /// How many operations may be open at once.
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=65536))]
    par: u32,
    /// How long operations are begun, in seconds.
    #[arg(
        long,
        value_name = "S",
        default_value = "10",
        allow_negative_numbers = true
    )]
    seconds: String,
    /// The same before that, unmeasured; 0 for none.
    #[arg(
        long,
        value_name = "S",
        default_value = "1",
        allow_negative_numbers = true
    )]
    warmup: String,
    /// The bytes of a payload, or of an item of a stream [default: 512].
    #[arg(long, value_name = "BYTES", value_parser = clap::value_parser!(u64).range(..=LARGEST), conflicts_with = "payload")]
    size: Option<u64>,
    #[arg(long, value_name = "PAYLOAD", help = format!("The payload, or an item of a stream, instead of --size. {}", payload::HELP))]
    payload: Option<String>,
    /// The items of a stream.
    #[arg(long, value_name = "N", default_value_t = 100)]
    count: u64,
    /// So many operations are due each second, whatever became of those before [default: each
    /// begins when one has ended].
    #[arg(long, value_name = "R", allow_negative_numbers = true)]
    rate: Option<String>,
    /// The deadline of an operation, as in 500ms or 10s [default: 60s].
    #[arg(long, value_name = "D", allow_negative_numbers = true)]
    timeout: Option<String>,
    /// The threads that run it; 1 for all on one [default: one for each processor].
    #[arg(long, value_name = "N")]
    threads: Option<NonZeroUsize>,
    /// Print the report as one JSON object.
    #[arg(long)]
    json: bool,
    /// Draw latency by percentile and the rate over time as SVG.
    #[arg(long, value_name = "FILE.svg")]
    plot: Option<PathBuf>,
    /// No progress on stderr.
    #[arg(short, long)]
    quiet: bool,
    #[command(flatten)]
    reach: ReachArgs,
}

/// A load that can be put on.
#[derive(Debug)]
pub(crate) struct Load {
    pub(crate) threads: Option<NonZeroUsize>,
    pub(super) settings: Settings,
    pub(super) work: Work,
    /// Of the measured run.
    pub(super) plan: Plan,
    pub(super) warmup: Option<Duration>,
    pub(super) json: bool,
    pub(super) plot: Option<PathBuf>,
    pub(super) quiet: bool,
    pub(super) reach: Reach,
}

impl LoadArgs {
    pub(crate) fn check(self, environment: Environment) -> Result<Load, Failure> {
        let target = Target::parse(&self.handler)?;
        let seconds = parse_seconds("--seconds", &self.seconds)?;
        let warmup = match self.warmup.parse::<f64>() {
            Ok(0.0) => None,
            _ => Some(parse_seconds("--warmup", &self.warmup)?),
        };
        let timeout = match &self.timeout {
            Some(text) => parse_duration("--timeout", text)?,
            None => TIMEOUT,
        };
        let rate = self.rate.as_deref().map(parse_rate).transpose()?;
        if self
            .threads
            .is_some_and(|threads| threads.get() > MOST_THREADS)
        {
            return Err(Failure::bad(format!(
                "--threads: no more than {MOST_THREADS} can be used"
            )));
        }
        if let Some(path) = &self.plot {
            output::check_writable("--plot", path)?;
        }
        let reach = self.reach.check(environment)?;
        let content = match &self.payload {
            // Last, as stdin is read only for a load that can be put on.
            Some(text) => Content::Given(payload::read(Some(text))?),
            None => {
                let size = self.size.unwrap_or(512);
                Content::Size(usize::try_from(size).unwrap_or(usize::MAX))
            }
        };
        let threads = match self.threads {
            Some(threads) => threads.get(),
            None => thread::available_parallelism().map_or(1, NonZeroUsize::get),
        };
        Ok(Load {
            work: Work::new(target, &content, self.count, timeout)?,
            plan: Plan {
                par: usize::try_from(self.par).unwrap_or(usize::MAX),
                lasting: seconds,
                rate,
                shards: threads,
            },
            settings: Settings {
                to: self.to,
                handler: self.handler,
                par: self.par,
                seconds: seconds.as_secs_f64(),
                warmup: warmup.map_or(0.0, |time| time.as_secs_f64()),
                size: match &content {
                    Content::Size(size) => *size as u64,
                    Content::Given(payload) => payload.len() as u64,
                },
                count: target.is_stream().then_some(self.count),
                rate,
                timeout: timeout.as_secs_f64(),
                threads: threads as u64,
            },
            threads: self.threads,
            warmup,
            json: self.json,
            plot: self.plot,
            quiet: self.quiet,
            reach,
        })
    }
}

fn parse_rate(text: &str) -> Result<f64, Failure> {
    let rate = text.parse::<f64>().ok();
    rate.filter(|rate| (0.001..=HIGHEST_RATE).contains(rate))
        .ok_or_else(|| {
            Failure::bad(format!(
                "--rate: '{text}' is not a number of operations a second from 0.001 to {HIGHEST_RATE}"
            ))
        })
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: LoadArgs,
    }

    fn check(more: &[&str]) -> Result<Load, Failure> {
        let always = ["load", "--to", "http://b:1", "--via", "unix:/a"];
        let words = always.iter().chain(more);
        let line = Line::try_parse_from(words).map_err(|error| Failure::bad(error.to_string()))?;
        line.args.check(Environment::default())
    }

    #[test]
    fn what_is_not_given_has_its_default() {
        let load = check(&[]).unwrap();
        assert_eq!(load.plan.par, 64);
        assert_eq!(load.plan.lasting, Duration::from_secs(10));
        assert_eq!(load.plan.rate, None);
        assert_eq!(load.warmup, Some(Duration::from_secs(1)));
        assert_eq!((load.settings.size, load.settings.count), (512, None));
        assert_eq!(load.settings.timeout, 60.0);
    }

    #[test]
    fn what_is_given_counts() {
        let load = check(&[
            "--handler",
            "echo-100",
            "--count",
            "7",
            "--payload",
            "abc",
            "--warmup",
            "0",
            "--seconds",
            "0.5",
            "--rate",
            "12.5",
            "--threads",
            "1",
        ])
        .unwrap();
        assert_eq!((load.settings.size, load.settings.count), (3, Some(7)));
        assert_eq!(load.warmup, None);
        assert_eq!(load.plan.lasting, Duration::from_millis(500));
        assert_eq!(load.plan.rate, Some(12.5));
        assert_eq!(load.plan.shards, 1);
    }

    #[test]
    fn wrong_values_are_quoted() {
        for (option, value) in [
            ("--handler", "nothing"),
            ("--par", "0"),
            ("--par", "65537"),
            ("--seconds", "0"),
            ("--warmup", "-1"),
            ("--rate", "0"),
            ("--rate", "nan"),
            ("--timeout", "0s"),
            ("--threads", "0"),
            ("--size", "67108865"),
        ] {
            let line = check(&[option, value]).unwrap_err().line();
            assert!(line.contains(option) && line.contains(value), "{line}");
        }
        let line = check(&["--threads", "1025"]).unwrap_err().line();
        assert!(line.contains("--threads"), "{line}");
        let line = check(&["--plot", "/nowhere/a.svg"]).unwrap_err().line();
        assert!(line.contains("--plot: '/nowhere/a.svg'"), "{line}");
    }
}
