//! One direction of a TCP connection that was kept as bytes.

use super::{
    Decoder, describe, payload,
    piece::{Found, Piece},
    record::{ControlRecord, PayloadRecord, Place, What},
    report::Report,
    stream::Stream,
};
use crate::failure::Failure;
use grid_proto::wire::{Inspection, Op};

/// Reports what is found in the bytes.
#[derive(Debug)]
pub(super) struct WebSocket {
    stream: Stream,
    found: Vec<Found>,
}

impl WebSocket {
    pub(super) fn new() -> Self {
        Self {
            stream: Stream::known(),
            found: Vec::new(),
        }
    }

    fn report(&mut self, report: &mut Report) -> Result<(), Failure> {
        for Found { at, what } in self.found.drain(..) {
            piece(Place::Offset { offset: at }, &what, report)?;
        }
        Ok(())
    }
}

impl Decoder for WebSocket {
    fn push(&mut self, bytes: &[u8], report: &mut Report) -> Result<(), Failure> {
        self.stream.push(bytes, &mut self.found);
        self.report(report)
    }

    fn end(&mut self, report: &mut Report) -> Result<(), Failure> {
        self.stream.end(&mut self.found);
        self.report(report)
    }
}

/// Reports something that was found in a direction.
pub(super) fn piece(place: Place, what: &Piece, report: &mut Report) -> Result<(), Failure> {
    let options = report.options();
    let what = match what {
        Piece::Message { bytes, lost } => {
            return describe::message(place, bytes, *lost, report);
        }
        Piece::Damage { reason, skipped } => {
            return report.damage(place, false, reason, *skipped);
        }
        Piece::Head(head) => What::Http(head.record(options)),
        Piece::Text(bytes) => What::Text(payload::plain(bytes, may_connect(bytes), options)),
        Piece::Ping(bytes) => control("ws-ping", bytes, None, report),
        Piece::Pong(bytes) => control("ws-pong", bytes, None, report),
        Piece::Close(bytes) => match bytes.split_first_chunk() {
            Some((code, reason)) => {
                control("ws-close", reason, Some(u16::from_be_bytes(*code)), report)
            }
            None => control("ws-close", bytes, None, report),
        },
    };
    report.line(place, false, what)
}

fn control(frame: &'static str, bytes: &[u8], code: Option<u16>, report: &Report) -> What {
    What::Control(ControlRecord {
        frame,
        code,
        payload: if bytes.is_empty() {
            PayloadRecord::default()
        } else {
            payload::plain(bytes, payload::holds_token(bytes), report.options())
        },
    })
}

/// Whether a text is a connect message in the wrong kind of frame, whose token then stands in it.
fn may_connect(bytes: &[u8]) -> bool {
    payload::holds_token(bytes)
        || Inspection::of(bytes).is_ok_and(|seen| {
            seen.frame.op == Op::Connect || payload::holds_token(seen.frame.payload)
        })
}
