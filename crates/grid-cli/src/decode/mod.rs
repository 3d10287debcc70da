//! `grid decode`: recorded bytes as one line a message.

mod capture;
mod conversation;
mod describe;
mod flow;
mod fragments;
mod guess;
mod head;
mod input;
mod line;
mod lines;
mod messages;
mod packet;
mod payload;
mod piece;
mod record;
mod report;
mod search;
mod stream;
#[cfg(test)]
mod tests;
mod websocket;

use std::{ffi::OsString, io};

use clap::{Args, ValueEnum};

use self::{
    capture::Capture, input::Input, lines::Lines, messages::Messages, report::Report,
    websocket::WebSocket,
};
use crate::failure::Failure;

/// A message above this length is damage.
const LARGEST: usize = 64 << 20;

const EXAMPLES: &str = "\
Examples:
  grid decode recorded.bin
  grid decode 'hex:97 01 00 cd ea 60 09 0e 03 c4 04 72 65 71 30 4e 6e e9 c9'
  grid decode --as hex messages.txt --route disk/0
  tcpdump -i any -U -w - 'tcp port 9000' | grid decode --pcap -";

const JSON_KEYS: &str = "\
What --json prints: one object a line. Every object has
  kind         message, http, text, control or damage
  offset       where it begins, in bytes; in a capture, of its direction's bytes
  line         in its place where the input is hex, a line each
  time, src, dst   in a capture: seconds since its start, and who sent it to whom
  inside       true for a message inside a merged one

A message has op, op_number, mux, seq, flags, flag_bits, deadline_ms (of UnblockSrvMux and
UnblockClMux the credits, where they are counted), handler, subroute and route
(where there are any), checksum (right, wrong, none or missing; where it is wrong with
checksum_given and checksum_computed), messages (those inside a merged one), stray_bytes, missing,
payload_len (null where there is no payload), payload (readable, cut to --width), payload_hex
(whole), hidden (true where a secret is left out), structure (connect, connect_response, ping, pong
or error) and structure_error. Text has the payload's keys, control has them with frame (ws-close,
ws-ping or ws-pong) and code; http has start and headers. Damage has reason and skipped (bytes).

Exit code 1: something was damaged; all that could be read was printed.";

/// The arguments of `grid decode`.
#[derive(Args, Debug, Default)]
#[command(after_help = EXAMPLES, after_long_help = format!("{JSON_KEYS}\n\n{EXAMPLES}"))]
pub(crate) struct DecodeArgs {
    /// A file, '-' for stdin, or 'hex:' and hexadecimal digits.
    #[arg(value_name = "FILE|-|hex:…", conflicts_with = "pcap")]
    input: Option<OsString>,
    /// Read a capture of a plain-text grid (pcap or pcapng; '-' for stdin).
    #[arg(long, value_name = "FILE")]
    pcap: Option<OsString>,
    /// What the bytes are; without it that is found by looking.
    #[arg(
        long = "as",
        value_name = "KIND",
        default_value = "auto",
        conflicts_with = "pcap"
    )]
    kind: Kind,
    /// Show the subroute of this route by its text; may be given more than once.
    #[arg(long = "route", value_name = "TEXT")]
    routes: Vec<String>,
    /// Cut payloads to so many characters; 0 = don't.
    #[arg(
        long,
        value_name = "N",
        default_value_t = 120,
        allow_negative_numbers = true
    )]
    width: usize,
    /// Show tokens and passwords too.
    #[arg(long)]
    secrets: bool,
    /// Print one JSON object a line.
    #[arg(long)]
    json: bool,
}

/// What bytes may be.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, ValueEnum)]
enum Kind {
    /// Whatever it looks like.
    #[default]
    Auto,
    /// Messages back to back.
    Messages,
    /// One direction of a TCP connection.
    Websocket,
    /// Text: one message in hexadecimal a line.
    Hex,
    /// A capture, as with --pcap.
    Pcap,
}

/// Reads bytes as they come and reports what they mean.
trait Decoder {
    fn push(&mut self, bytes: &[u8], report: &mut Report) -> Result<(), Failure>;
    /// Nothing more comes.
    fn end(&mut self, report: &mut Report) -> Result<(), Failure>;
}

/// Runs `grid decode`.
pub(crate) fn run(args: DecodeArgs) -> Result<(), Failure> {
    let kind = if args.pcap.is_some() {
        Kind::Pcap
    } else {
        args.kind
    };
    let mut input = Input::open(args.pcap.as_ref().or(args.input.as_ref()))?;
    let options = report::Options {
        routes: args.routes,
        width: match args.width {
            0 => usize::MAX,
            width => width,
        },
        secrets: args.secrets,
        json: args.json,
    };
    // Locked for good: a line that is flushed is written at once.
    let mut report = Report::new(options, Box::new(io::stdout().lock()));
    let name = input.name().to_owned();
    let mut decoder = decoder(kind, input.begin()?, &name)?;
    let outcome = pump(&mut input, decoder.as_mut(), &mut report);
    // What was read before the input failed is damaged at most at its end.
    let ended = match outcome {
        Err(Failure::Unread(_)) => return outcome,
        _ => decoder.end(&mut report).and_then(|()| report.flush()),
    };
    outcome.and(ended)?;
    report.finish()
}

fn pump(input: &mut Input, decoder: &mut dyn Decoder, report: &mut Report) -> Result<(), Failure> {
    loop {
        let chunk = input.next()?;
        if chunk.is_empty() {
            return Ok(());
        }
        decoder.push(chunk, report)?;
        // The next read may wait for long.
        report.flush()?;
    }
}

fn decoder(kind: Kind, begin: &[u8], name: &str) -> Result<Box<dyn Decoder>, Failure> {
    Ok(match kind {
        Kind::Auto => return decoder(guess::kind(begin), begin, name),
        Kind::Messages => Box::new(Messages::new()),
        Kind::Websocket => Box::new(WebSocket::new()),
        Kind::Hex => Box::new(Lines::new()),
        Kind::Pcap => {
            Box::new(Capture::new(begin).ok_or_else(|| {
                Failure::bad(format!("{name}: no capture: neither pcap nor pcapng"))
            })?)
        }
    })
}
