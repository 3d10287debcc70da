//! What has been decoded on its way to stdout, and how much of it was damaged.

use std::io::Write;

use super::{
    line,
    record::{DamageRecord, Place, Record, What},
};
use crate::{failure::Failure, output};

/// So many bytes are written at once.
const FULL: usize = 64 << 10;

/// How things are shown.
#[derive(Debug)]
pub(super) struct Options {
    pub(super) routes: Vec<String>,
    /// Characters of a payload.
    pub(super) width: usize,
    pub(super) secrets: bool,
    pub(super) json: bool,
}

/// Takes lines and writes them, whole ones only.
pub(super) struct Report {
    options: Options,
    to: Box<dyn Write>,
    lines: String,
    readable: u64,
    damaged: u64,
    note: Option<String>,
}

impl Report {
    pub(super) fn new(options: Options, to: Box<dyn Write>) -> Self {
        Self {
            options,
            to,
            lines: String::new(),
            readable: 0,
            damaged: 0,
            note: None,
        }
    }

    pub(super) fn options(&self) -> &Options {
        &self.options
    }

    /// Takes a line.
    pub(super) fn line(&mut self, place: Place, inside: bool, what: What) -> Result<(), Failure> {
        let record = Record {
            place,
            inside,
            what,
        };
        self.lines.push_str(&line::of(&record, self.options.json));
        if self.lines.len() < FULL {
            return Ok(());
        }
        self.flush()
    }

    /// Takes a line about what can't be read, and counts it.
    pub(super) fn damage(
        &mut self,
        place: Place,
        inside: bool,
        reason: impl Into<String>,
        skipped: u64,
    ) -> Result<(), Failure> {
        self.damaged += 1;
        let reason = reason.into();
        self.line(
            place,
            inside,
            What::Damage(DamageRecord { reason, skipped }),
        )
    }

    /// Counts a message.
    pub(super) fn count(&mut self, is_readable: bool) {
        if is_readable {
            self.readable += 1;
        } else {
            self.damaged += 1;
        }
    }

    /// Keeps what is to be said on stderr at the end.
    pub(super) fn note(&mut self, note: Option<String>) {
        self.note = note;
    }

    /// Writes the lines that are there.
    pub(super) fn flush(&mut self) -> Result<(), Failure> {
        if self.lines.is_empty() {
            return Ok(());
        }
        // What fails half-way must not be written again.
        let lines = std::mem::take(&mut self.lines);
        self.to
            .write_all(lines.as_bytes())
            .and_then(|()| self.to.flush())
            .map_err(|error| output::lost(&error, "the messages"))
    }

    /// Writes the rest; fails where something was damaged.
    pub(super) fn finish(mut self) -> Result<(), Failure> {
        self.flush()?;
        if let Some(note) = &self.note {
            // Nobody is left to tell where stderr is closed.
            let _ = writeln!(std::io::stderr(), "grid: {note}");
        }
        if self.damaged == 0 {
            return Ok(());
        }
        let (damaged, all) = (self.damaged, self.damaged + self.readable);
        let words = match (damaged, all) {
            (_, 1) => "message is",
            (1, _) => "messages is",
            _ => "messages are",
        };
        Err(Failure::failed(format!(
            "{damaged} of {all} {words} damaged"
        )))
    }
}
