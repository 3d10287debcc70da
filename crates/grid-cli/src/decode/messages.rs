//! Messages back to back, without frames around them.

use bytes::{Buf, BytesMut};
use grid_proto::wire::{DecodeError, Field, Inspection};

use super::{
    Decoder, LARGEST, describe,
    record::Place,
    report::Report,
    search::{self, Allowance},
};
use crate::failure::Failure;

/// Finds messages in bytes, and finds its way again behind damaged ones.
#[derive(Debug)]
pub(super) struct Messages {
    buffer: BytesMut,
    /// Where the buffer begins.
    at: u64,
    /// Where the damage began that is being passed over, and what it is.
    lost: Option<(u64, String)>,
    /// With fewer bytes it need not be tried again: a message that is long isn't looked at anew
    /// with each of its bytes.
    worthwhile: usize,
    is_ended: bool,
    allowance: Allowance,
}

impl Messages {
    pub(super) fn new() -> Self {
        Self {
            buffer: BytesMut::new(),
            at: 0,
            lost: None,
            worthwhile: 0,
            is_ended: false,
            allowance: Allowance::new(),
        }
    }

    fn run(&mut self, report: &mut Report) -> Result<(), Failure> {
        if self.buffer.len() < self.worthwhile && !self.is_ended {
            return Ok(());
        }
        self.worthwhile = 0;
        while !self.buffer.is_empty() {
            let is_done = match self.lost {
                None => self.message(report)?,
                Some(_) => self.search(report)?,
            };
            if !is_done {
                let len = self.buffer.len();
                self.worthwhile = if len < SMALL { 0 } else { len + len / 4 };
                break;
            }
        }
        Ok(())
    }

    /// Takes the message that should begin here; false where that takes more bytes.
    fn message(&mut self, report: &mut Report) -> Result<bool, Failure> {
        let place = Place::Offset { offset: self.at };
        let error = match Inspection::of_prefix(&self.buffer) {
            Ok((seen, len)) => {
                let behind = self.buffer.get(len..).unwrap_or_default();
                let may_go_on = behind.is_empty() && !self.is_ended;
                if !seen.is_intact() && may_go_on && self.buffer.len() < LARGEST {
                    return Ok(false);
                }
                if seen.is_intact() || behind.is_empty() || may_begin(behind) {
                    describe::inspected(place, &seen, false, report)?;
                    self.advance(len);
                    return Ok(true);
                }
                // It may be one that stands alone, with stray bytes before its trailers.
                if self.at == 0
                    && self.is_ended
                    && let Ok(alone) = Inspection::of(&self.buffer)
                    && alone.is_intact()
                {
                    describe::inspected(place, &alone, false, report)?;
                    self.advance(self.buffer.len());
                    return Ok(true);
                }
                if self.at == 0 && !self.is_ended && self.buffer.len() < ALONE {
                    return Ok(false);
                }
                "wrong checksum, and no message begins behind it".to_owned()
            }
            Err(error) => {
                let is_short = is_short(&error);
                if is_short && !self.is_ended && self.buffer.len() < LARGEST {
                    return Ok(false);
                }
                let is_inside = error.field() == Field::MergedPart;
                // What is there of a merged message is shown, even if that is not its end.
                let end = if is_inside {
                    error.offset()
                } else {
                    self.buffer.len()
                };
                let here = self.buffer.get(..end).unwrap_or_default();
                if (is_short || is_inside)
                    && let Ok(seen) = Inspection::of(here)
                {
                    describe::inspected(place, &seen, false, report)?;
                    self.advance(if is_short { usize::MAX } else { end });
                    return Ok(true);
                }
                format!("no message: {error}")
            }
        };
        self.lost = Some((self.at, error));
        self.advance(1);
        Ok(true)
    }

    /// Passes over what is no whole message; false where more bytes are needed to tell.
    fn search(&mut self, report: &mut Report) -> Result<bool, Failure> {
        let mut at = 0;
        while let Some(here) = self.buffer.get(at..).filter(|here| !here.is_empty()) {
            let window = here.len().min(self.allowance.window());
            let near = here.get(..window).unwrap_or(here);
            if may_begin(here) {
                match Inspection::prefix_len(near) {
                    Ok(len) => {
                        self.allowance.spend(len);
                        if is_whole(near) {
                            self.advance(at);
                            self.found(report)?;
                            return Ok(true);
                        }
                    }
                    Err(error) => {
                        self.allowance.spend(error.offset());
                        let may_come = window == here.len() && !self.is_ended;
                        if is_short(&error) && may_come && here.len() < LARGEST {
                            self.advance(at);
                            return Ok(false);
                        }
                    }
                }
            }
            at += 1;
        }
        self.advance(self.buffer.len());
        Ok(true)
    }

    /// Reports the damage that ends here.
    fn found(&mut self, report: &mut Report) -> Result<(), Failure> {
        let Some((from, reason)) = self.lost.take() else {
            return Ok(());
        };
        let place = Place::Offset { offset: from };
        report.damage(place, false, reason, self.at.saturating_sub(from))
    }

    fn advance(&mut self, len: usize) {
        let len = len.min(self.buffer.len());
        self.buffer.advance(len);
        self.at = self
            .at
            .saturating_add(u64::try_from(len).unwrap_or(u64::MAX));
    }
}

impl Decoder for Messages {
    fn push(&mut self, bytes: &[u8], report: &mut Report) -> Result<(), Failure> {
        self.allowance.earn(bytes.len());
        self.buffer.extend_from_slice(bytes);
        self.run(report)
    }

    fn end(&mut self, report: &mut Report) -> Result<(), Failure> {
        self.is_ended = true;
        self.run(report)?;
        self.found(report)
    }
}

/// A message that stands alone and has stray bytes is seen as one up to this length.
const ALONE: usize = 1 << 20;

/// Up to this length bytes are looked at whenever more of them come.
const SMALL: usize = 64 << 10;

/// Whether bytes begin with a whole message, one that a node would take.
pub(super) fn is_whole(bytes: &[u8]) -> bool {
    may_begin(bytes) && Inspection::of_prefix(bytes).is_ok_and(|(seen, _)| search::is_likely(&seen))
}

/// Whether an array begins here that has the length of a message's.
fn may_begin(bytes: &[u8]) -> bool {
    matches!(
        bytes,
        [0x97, ..] | [0xdc, 0, 7, ..] | [0xdd, 0, 0, 0, 7, ..]
    ) || matches!(
        bytes,
        [0xdc] | [0xdc, 0] | [0xdd] | [0xdd, 0] | [0xdd, 0, 0] | [0xdd, 0, 0, 0]
    )
}

fn is_short(error: &DecodeError) -> bool {
    matches!(
        error,
        DecodeError::Truncated { .. } | DecodeError::MissingTrailer { .. }
    )
}
