//! `grid top`: the links of a running node, as they are now and again.

mod frame;
mod keys;
mod live;
mod plain;
mod report;
mod sample;
mod screen;
mod source;

use std::{
    io::{self, IsTerminal},
    path::PathBuf,
    time::Duration,
};

use clap::Args;

use self::{plain::Form, source::Source};
use crate::{
    control::parse_via,
    failure::Failure,
    signal::Signals,
    status::{StatusUrl, read_token},
    values::parse_seconds,
};

#[derive(Args, Debug)]
#[command(after_help = "Examples:
  grid top --via unix:/run/grid.sock
  grid top --status 127.0.0.1:9100 --once
  grid top --status 127.0.0.1:9100 --json --interval 10 >> links.jsonl

Links that are not connected come first, the others follow by name. DIALS tells who dials: us or
them. CALLS and STREAMS are open ones, ours/theirs. Rates are those of the last interval; '-' stands
where there are none, as after a restart of the node. LAST CAUSE is why a link was last down.

q, Esc and Ctrl-C quit; the arrows, j, k, PageUp, PageDown, Home and End move. When the node goes,
the last table stays, and top goes on trying.

--json writes the status document (docs/operations.md) and in each link 'rates', an object or null:
messages_in_s, messages_out_s, bytes_in_s, bytes_out_s. One object a line and interval, until a
signal ends it, which is no failure; once the node goes, it ends with 3.

Exit codes: 0 told, 1 the status can't be understood, 2 wrong usage, 3 there is no node, 130 --once
was interrupted, 141 the reader of stdout has gone.")]
pub(crate) struct TopArgs {
    /// Ask the node over the control socket that it was given with `grid node --control`.
    #[arg(long, value_name = "unix:PATH", conflicts_with = "status")]
    via: Option<String>,
    /// Ask the node where it serves its status (`grid node --status`): HOST:PORT, or a URL.
    #[arg(long, value_name = "ADDR")]
    status: Option<String>,
    /// A file that holds the token that the node asks for there (`grid node --status-token-file`).
    #[arg(long, value_name = "FILE", requires = "status")]
    status_token_file: Option<PathBuf>,
    /// Seconds from one look to the next; rates are taken over as long.
    #[arg(
        long,
        value_name = "SECONDS",
        default_value = "1",
        allow_negative_numbers = true
    )]
    interval: String,
    /// Look twice, an interval apart, print the table and exit.
    #[arg(long)]
    once: bool,
    /// Write JSON instead of a table.
    #[arg(long)]
    json: bool,
}

/// A node that can be watched.
#[derive(Debug)]
pub(crate) struct Top {
    source: Source,
    interval: Duration,
    mode: Mode,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Live,
    Once(Form),
    /// A line of JSON for each interval.
    Lines,
}

impl TopArgs {
    pub(crate) fn check(self) -> Result<Top, Failure> {
        self.check_for(io::stdout().is_terminal())
    }

    fn check_for(self, terminal: bool) -> Result<Top, Failure> {
        let source = match (&self.via, &self.status) {
            (Some(via), _) => Source::via(parse_via("--via", via)?),
            (None, Some(status)) => {
                let token = self.status_token_file.as_deref().map(read_token);
                Source::Http(StatusUrl::parse(status)?.with_token(token.transpose()?))
            }
            (None, None) => {
                return Err(Failure::bad(
                    "no node to watch: give --via unix:PATH, the control socket of a node, or \
                     --status ADDR, where it serves its status",
                ));
            }
        };
        let mode = match (self.once, self.json) {
            (true, true) => Mode::Once(Form::Json),
            (true, false) => Mode::Once(Form::Table),
            (false, true) => Mode::Lines,
            (false, false) if terminal => Mode::Live,
            (false, false) => {
                return Err(Failure::bad(
                    "stdout is no terminal to show a live table on: give --once or --json",
                ));
            }
        };
        Ok(Top {
            source,
            interval: parse_seconds("--interval", &self.interval)?,
            mode,
        })
    }
}

/// Watches until it is told to end.
pub(crate) async fn run(top: Top) -> Result<(), Failure> {
    let Top {
        mut source,
        interval,
        mode,
    } = top;
    let mut signals = Signals::catch()?;
    let outcome = match mode {
        Mode::Once(form) => signals.cut(plain::once(&mut source, interval, form)).await,
        Mode::Lines => tokio::select! {
            ended = plain::lines(&mut source, interval) => ended,
            // That is how an endless watch ends well.
            _ = signals.next() => Ok(()),
        },
        Mode::Live => live::run(&mut source, interval, &mut signals).await,
    };
    source.leave().await;
    outcome
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args() -> TopArgs {
        TopArgs {
            via: Some("unix:/run/grid.sock".into()),
            status: None,
            status_token_file: None,
            interval: "1".into(),
            once: false,
            json: false,
        }
    }

    #[test]
    fn a_node_must_be_named() {
        let none = TopArgs {
            via: None,
            ..args()
        };
        let line = none.check_for(true).unwrap_err().line();
        assert!(
            line.contains("--via") && line.contains("--status"),
            "{line}"
        );
    }

    #[test]
    fn a_live_table_needs_a_terminal() {
        assert_eq!(args().check_for(true).unwrap().mode, Mode::Live);
        let line = args().check_for(false).unwrap_err().line();
        assert!(line.contains("--once") && line.contains("--json"), "{line}");
        for terminal in [false, true] {
            let mode = |once, json| {
                let args = TopArgs {
                    once,
                    json,
                    ..args()
                };
                args.check_for(terminal).unwrap().mode
            };
            assert_eq!(mode(true, false), Mode::Once(Form::Table));
            assert_eq!(mode(true, true), Mode::Once(Form::Json));
            assert_eq!(mode(false, true), Mode::Lines);
        }
    }

    #[test]
    fn values_are_quoted() {
        let slow = TopArgs {
            interval: "soon".into(),
            ..args()
        };
        let line = slow.check_for(true).unwrap_err().line();
        assert!(line.contains("--interval: 'soon'"), "{line}");
    }
}
