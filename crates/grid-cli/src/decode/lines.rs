//! Text with the hexadecimal digits of one message a line.

use bytes::BytesMut;
use grid_proto::wire::Inspection;

use super::{
    Decoder, Kind, LARGEST, describe, guess, input::unhex, piece::Found, record::Place,
    report::Report, stream::Stream, websocket,
};
use crate::failure::Failure;

/// The largest message in digits, with a space after each byte.
const LONGEST: usize = 3 * LARGEST;

/// Takes text line by line.
#[derive(Debug)]
pub(super) struct Lines {
    text: BytesMut,
    /// How much of the text has no line end.
    searched: usize,
    line: u64,
    /// Whether the line has become too long, and the rest of it is passed over.
    is_too_long: bool,
}

impl Lines {
    pub(super) fn new() -> Self {
        Self {
            text: BytesMut::new(),
            searched: 0,
            line: 1,
            is_too_long: false,
        }
    }

    fn take(&mut self, line: &[u8], report: &mut Report) -> Result<(), Failure> {
        let place = Place::Line { line: self.line };
        self.line += 1;
        if std::mem::take(&mut self.is_too_long) {
            return report.damage(place, false, "a line that is too long", 0);
        }
        let digits = line.split(|byte| *byte == b'#').next().unwrap_or_default();
        if digits.trim_ascii().is_empty() {
            return Ok(());
        }
        match unhex(digits) {
            Ok(bytes) => message(place, &bytes, report),
            Err(reason) => report.damage(place, false, reason, 0),
        }
    }
}

impl Decoder for Lines {
    fn push(&mut self, bytes: &[u8], report: &mut Report) -> Result<(), Failure> {
        self.text.extend_from_slice(bytes);
        while let Some(behind) = self.text.get(self.searched..)
            && let Some(end) = behind.iter().position(|byte| *byte == b'\n')
        {
            let line = self.text.split_to(self.searched + end + 1);
            self.searched = 0;
            self.take(&line, report)?;
        }
        if self.text.len() > LONGEST {
            self.is_too_long = true;
            self.text.clear();
        }
        self.searched = self.text.len();
        Ok(())
    }

    fn end(&mut self, report: &mut Report) -> Result<(), Failure> {
        let line = self.text.split();
        if line.is_empty() && !self.is_too_long {
            return Ok(());
        }
        self.take(&line, report)
    }
}

/// A line's bytes: one message, or a run of websocket frames.
fn message(place: Place, bytes: &[u8], report: &mut Report) -> Result<(), Failure> {
    if Inspection::of(bytes).is_err() && guess::kind(bytes) == Kind::Websocket {
        let mut stream = Stream::known();
        let mut found = Vec::new();
        stream.push(bytes, &mut found);
        stream.end(&mut found);
        for Found { what, .. } in &found {
            websocket::piece(place, what, report)?;
        }
        return Ok(());
    }
    describe::message(place, bytes, 0, report)
}
