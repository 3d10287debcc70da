//! `grid ping`: the round-trip time of a link, again and again.

use std::time::Duration;

use clap::Args;
use hdrhistogram::Histogram;
use tokio::time::{Instant, sleep_until};

use crate::{
    credentials::Environment,
    failure::Failure,
    fault::FaultKind,
    output,
    reach::{Peer, Reach, ReachArgs},
    signal::Signals,
    values::{parse_duration, parse_seconds},
};

#[derive(Args, Debug)]
#[command(after_help = "Example:
  grid ping -c 5 -i 0.2 --to http://10.0.0.2:9000 --via unix:/run/grid.sock

Ctrl-C ends it as -c does. Exit codes: 0 something was answered, 2 wrong usage, 3 not connected,
4 no ping was answered in time.")]
pub(crate) struct PingArgs {
    /// The node at the other end of the link.
    #[arg(long, value_name = "URL")]
    to: String,
    /// How many pings [default: until Ctrl-C].
    #[arg(short = 'c', long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
    /// Seconds from one ping to the next, 0.01 at least.
    ///
    /// A node sends at most 1,000 pings for all commands in ten seconds (its --ping); more wait.
    #[arg(
        short = 'i',
        long,
        value_name = "SECONDS",
        default_value = "1",
        allow_negative_numbers = true
    )]
    interval: String,
    /// How long to wait for each answer, as in 500ms or 5s [default: 5s].
    #[arg(short = 'W', long, value_name = "D", allow_negative_numbers = true)]
    timeout: Option<String>,
    #[command(flatten)]
    reach: ReachArgs,
}

/// Faster pings would all wait for each other: nodes let no flood of them out.
const LEAST_INTERVAL: Duration = Duration::from_millis(10);

/// Pings that can be sent.
#[derive(Debug)]
pub(crate) struct Ping {
    to: String,
    count: Option<u64>,
    interval: Duration,
    timeout: Duration,
    reach: Reach,
}

impl PingArgs {
    pub(crate) fn check(self, environment: Environment) -> Result<Ping, Failure> {
        Ok(Ping {
            count: self.count,
            interval: match parse_seconds("--interval", &self.interval)? {
                interval if interval >= LEAST_INTERVAL => interval,
                _ => {
                    return Err(Failure::bad(format!(
                        "--interval: '{}' is less than 0.01 seconds, which would be a flood",
                        self.interval
                    )));
                }
            },
            timeout: match &self.timeout {
                Some(text) => parse_duration("--timeout", text)?,
                None => Duration::from_secs(5),
            },
            reach: self.reach.check(environment)?,
            to: self.to,
        })
    }
}

/// Sends pings until all are sent or a signal comes, and tells of them.
pub(crate) async fn run(ping: Ping) -> Result<(), Failure> {
    let mut tally = Tally::new()?;
    let outcome = ping
        .reach
        .run(&ping.to, None, async |peer, signals| {
            say(&format!("PING {}\n", ping.to))?;
            send(&ping, peer, signals, &mut tally).await
        })
        .await;
    outcome?;
    say(&tally.summary(&ping.to))?;
    tally.verdict(&ping.to)
}

async fn send(
    ping: &Ping,
    peer: &Peer,
    signals: &mut Signals,
    tally: &mut Tally,
) -> Result<(), Failure> {
    let mut due = Instant::now();
    for number in 1.. {
        tally.sent += 1;
        let line = tokio::select! {
            answered = peer.ping(ping.timeout) => match answered {
                Ok(round_trip) => {
                    tally.answered(round_trip);
                    format!("seq={number} time={} ms\n", millis(round_trip))
                }
                Err(fault) => {
                    tally.last_fault = Some(fault.kind);
                    format!("seq={number} {fault}\n")
                }
            },
            _ = signals.next() => {
                // Its answer was not waited for.
                tally.sent -= 1;
                return Ok(());
            }
        };
        say(&line)?;
        if Some(number) == ping.count {
            return Ok(());
        }
        due = (due + ping.interval).max(Instant::now());
        tokio::select! {
            // tidy: sleep: the pause between two pings is what was asked for
            () = sleep_until(due) => {}
            _ = signals.next() => return Ok(()),
        }
    }
    Ok(())
}

fn say(line: &str) -> Result<(), Failure> {
    output::print(line.as_bytes(), "pinging ends")
}

/// What has come back so far.
struct Tally {
    sent: u64,
    /// In nanoseconds.
    times: Histogram<u64>,
    last_fault: Option<FaultKind>,
}

impl Tally {
    fn new() -> Result<Self, Failure> {
        Ok(Self {
            sent: 0,
            times: Histogram::new(3).map_err(|error| Failure::failed(error.to_string()))?,
            last_fault: None,
        })
    }

    fn answered(&mut self, round_trip: Duration) {
        let nanos = u64::try_from(round_trip.as_nanos()).unwrap_or(u64::MAX);
        // It grows with what it is given, and no ping takes longer than a day.
        let _ = self.times.record(nanos);
    }

    fn summary(&self, to: &str) -> String {
        let (sent, answered) = (self.sent, self.times.len());
        let lost = if sent == 0 {
            0.0
        } else {
            (sent - answered) as f64 * 100.0 / sent as f64
        };
        let mut text =
            format!("--- {to} ---\n{sent} pings sent, {answered} answered, {lost:.1}% lost\n");
        if answered > 0 {
            let at = |nanos| millis(Duration::from_nanos(nanos));
            text.push_str(&format!(
                "round trip min/avg/max/p99 = {}/{}/{}/{} ms\n",
                at(self.times.min()),
                millis(Duration::from_secs_f64(self.times.mean() / 1e9)),
                at(self.times.max()),
                at(self.times.value_at_quantile(0.99)),
            ));
        }
        text
    }

    fn verdict(&self, to: &str) -> Result<(), Failure> {
        match self.last_fault {
            _ if !self.times.is_empty() || self.sent == 0 => Ok(()),
            Some(FaultKind::Deadline) | None => {
                Err(Failure::Deadline(format!("no answer from {to}")))
            }
            Some(_) => Err(Failure::NotConnected(format!("not connected to {to}"))),
        }
    }
}

fn millis(time: Duration) -> String {
    format!("{:.3}", time.as_secs_f64() * 1e3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_counts_what_came_and_what_did_not() {
        let mut tally = Tally::new().unwrap();
        tally.sent = 4;
        for millis in [1, 2, 3] {
            tally.answered(Duration::from_millis(millis));
        }
        let summary = tally.summary("http://b:1");
        assert!(
            summary.contains("4 pings sent, 3 answered, 25.0% lost"),
            "{summary}"
        );
        assert!(summary.contains("= 1.000/2.00"), "{summary}");
        assert!(tally.verdict("b").is_ok());
    }

    #[test]
    fn without_an_answer_it_has_failed() {
        let mut tally = Tally::new().unwrap();
        tally.sent = 1;
        assert!(!tally.summary("b").contains("min/avg"));
        assert!(matches!(tally.verdict("b"), Err(Failure::Deadline(_))));
        tally.last_fault = Some(FaultKind::NotConnected);
        assert!(matches!(tally.verdict("b"), Err(Failure::NotConnected(_))));
    }
}
