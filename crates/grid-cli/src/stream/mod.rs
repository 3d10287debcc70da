//! `grid stream`: items of stdin or a file to a stream's handler, its items to stdout.

mod framing;
mod input;

use std::{
    io::{self, Write},
    time::Duration,
};

use clap::Args;
use futures_util::FutureExt;
use grid_transport::Capacity;
use tokio::io::AsyncWriteExt;

use self::{
    framing::Framing,
    input::{Input, Source},
};
use crate::{
    credentials::Environment,
    failure::Failure,
    fault::{Fault, FaultKind},
    form::{Form, FormArgs},
    output,
    reach::{Conversation, Peer, Reach, ReachArgs},
    signal::Signals,
    target::{Target, TargetArgs},
    values::parse_duration,
};

#[derive(Args, Debug)]
#[command(after_help = "Examples:
  grid stream 59 1000:64 --out 100 --to http://10.0.0.2:9000 --via unix:/run/grid.sock
  seq 10 | grid stream 10 --in 1 --out 1 --to http://10.0.0.2:9000 --via unix:/run/grid.sock

The capacities are part of the handler's definition: give those of the node. Items are lines, in
and out; with --framed each is a length of 4 bytes, big endian, and so many bytes.

Exit codes: 0 a clean end, by which every item has come; 1 an end in an error, whose reason stands
on stderr; 2 wrong usage; 3 not connected, so that it never began; 130 cancelled by a signal;
141 cancelled because the reader of stdout has gone.")]
pub(crate) struct StreamArgs {
    #[command(flatten)]
    target: TargetArgs,
    /// The capacity towards the handler; 0 where it takes no items.
    #[arg(long = "in", value_name = "N", default_value_t = 0)]
    input: u32,
    /// The capacity from the handler.
    #[arg(long = "out", value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    output: u32,
    /// Where the items come from: @FILE, or - for stdin [default: -].
    #[arg(long, value_name = "@FILE")]
    items: Option<String>,
    /// Items are framed by their length, in and out, instead of by line ends.
    #[arg(long)]
    framed: bool,
    /// End the whole stream after this time, as in 500ms or 10s [default: never].
    #[arg(long, value_name = "D", allow_negative_numbers = true)]
    timeout: Option<String>,
    #[command(flatten)]
    form: FormArgs,
    #[command(flatten)]
    reach: ReachArgs,
}

/// About so many bytes are written to stdout at once.
const BATCH: usize = 64 * 1024;

/// A stream that can be opened.
#[derive(Debug)]
pub(crate) struct Stream {
    target: Target,
    capacity: Capacity,
    source: Option<Source>,
    out: Out,
    timeout: Option<Duration>,
    reach: Reach,
}

/// How items are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Out {
    Framed,
    /// As lines; raw ones end where the item does when they were asked for.
    Form {
        form: Form,
        line_end: bool,
    },
}

impl StreamArgs {
    pub(crate) fn check(self, environment: Environment) -> Result<Stream, Failure> {
        let framing = if self.framed {
            Framing::Lengths
        } else {
            Framing::Lines
        };
        if self.framed && self.form.is_given() {
            return Err(Failure::bad(
                "--framed writes items as they come, so that --raw, --hex and --json don't go with it",
            ));
        }
        let form = self.form.form();
        let out = if self.framed {
            Out::Framed
        } else {
            Out::Form {
                form,
                line_end: form == Form::Raw && !self.form.is_given(),
            }
        };
        if self.input == 0 && self.items.is_some() {
            return Err(Failure::bad(
                "--items: a stream with --in 0 takes no items; give the handler's capacity by --in",
            ));
        }
        let timeout = match &self.timeout {
            Some(text) => Some(parse_duration("--timeout", text)?),
            None => None,
        };
        let items = self.items.as_deref().unwrap_or("-");
        if self.input > 0 && self.target.reads_stdin() && items == "-" {
            return Err(Failure::bad(
                "PAYLOAD: '-' reads all of stdin, so that no items can come from there: give --items @FILE",
            ));
        }
        let reach = self.reach.check(environment)?;
        let source = match self.input {
            0 => None,
            _ => Some(Source::open(items, framing)?),
        };
        Ok(Stream {
            target: self.target.read()?,
            capacity: Capacity::new(self.input, self.output),
            source,
            out,
            timeout,
            reach,
        })
    }
}

/// Runs the stream to its end.
pub(crate) async fn run(stream: Stream) -> Result<(), Failure> {
    let Stream {
        target:
            Target {
                handler,
                payload,
                to,
                subroute,
            },
        capacity,
        source,
        out,
        timeout,
        reach,
    } = stream;
    let open = async |peer: &Peer, signals: &mut Signals| {
        let opened = async {
            let opened = peer.open(handler, capacity, payload, timeout).await;
            opened.map_err(|fault| ended(fault, &to, 0))
        };
        let conversation = signals.cut(opened).await?;
        talk(conversation, source, out, &to, signals).await
    };
    reach.run(&to, subroute.as_deref(), open).await
}

/// Carries items both ways until the stream ends. Whatever ends it early drops the stream, which
/// cancels it.
async fn talk(
    (mut to_peer, mut from_peer): Conversation,
    source: Option<Source>,
    out: Out,
    to: &str,
    signals: &mut Signals,
) -> Result<(), Failure> {
    let mut received = 0_u64;
    let send = async {
        let Some(source) = source else {
            return std::future::pending().await;
        };
        let mut input = Input::start(source);
        while let Some(item) = input.next().await {
            // Where the stream has ended, what comes from it tells why.
            if to_peer.send(item?).await.is_err() {
                break;
            }
        }
        to_peer.finish();
        std::future::pending::<Result<(), Failure>>().await
    };
    let receive = async {
        loop {
            let mut batch = Vec::new();
            let mut last = None;
            let mut next = from_peer.recv().await;
            // What is there already is written at once: a write to stdout takes longer than an item.
            loop {
                match next {
                    Some(Ok(item)) => {
                        batch.extend(out.encode(item.as_slice())?);
                        received += 1;
                    }
                    Some(Err(fault)) => last = Some(Err(fault)),
                    None => last = Some(Ok(())),
                }
                if last.is_some() || batch.len() >= BATCH {
                    break;
                }
                let Some(more) = from_peer.recv().now_or_never() else {
                    break;
                };
                next = more;
            }
            write(&batch).await?;
            match last {
                None => {}
                Some(Ok(())) => return Ok(()),
                Some(Err(fault)) => return Err(ended(fault, to, received)),
            }
        }
    };
    tokio::select! {
        done = receive => return done,
        failed = send => return failed,
        _ = signals.next() => {}
    }
    Err(Failure::Interrupted(format!(
        "cancelled after {received} items"
    )))
}

impl Out {
    fn encode(self, item: &[u8]) -> Result<Vec<u8>, Failure> {
        match self {
            Self::Framed => framing::frame(item),
            Self::Form { form, line_end } => {
                let mut bytes = form.write(item)?;
                if line_end {
                    bytes.push(b'\n');
                }
                Ok(bytes)
            }
        }
    }
}

async fn write(bytes: &[u8]) -> Result<(), Failure> {
    // Not by the thread that runs the stream: a reader of stdout may take its time.
    let mut stdout = tokio::io::stdout();
    let written = async {
        stdout.write_all(bytes).await?;
        stdout.flush().await
    };
    let lost = |error: io::Error| output::lost(&error, "the stream was cancelled");
    written.await.map_err(lost)
}

/// How a stream that ended in an error ends the command.
fn ended(fault: Fault, to: &str, received: u64) -> Failure {
    // Nobody is left to tell where stderr is closed.
    let _ = writeln!(
        io::stderr(),
        "grid: the stream ended in an error after {received} items: it is not complete"
    );
    match fault.kind {
        // The command has not failed to get an answer in time: part of it is there.
        FaultKind::Deadline => Failure::failed("deadline exceeded"),
        _ => fault.into_failure(to, Duration::ZERO),
    }
}
