//! One direction of a TCP connection as it comes: heads of HTTP, frames of websocket, and holes.

use std::io::Cursor;

use bytes::{Buf, Bytes, BytesMut};
use tungstenite::protocol::frame::{
    FrameHeader,
    coding::{Control, Data, OpCode},
};

use super::{
    LARGEST,
    fragments::Fragments,
    head::{self, Behind},
    piece::{Found, Piece},
    search::{self, Allowance, Verdict, unmasked},
};

/// Takes a direction's bytes in order and finds what is in them.
///
/// It holds at most one message of [`LARGEST`] bytes, and as much again of fragments.
#[derive(Debug)]
pub(super) struct Stream {
    buffer: BytesMut,
    /// Where the buffer begins.
    at: u64,
    state: State,
    fragments: Fragments,
    /// Whether the bytes are known to be websocket. Until then they are searched for what can be
    /// nothing else.
    is_known: bool,
    /// Whether no more bytes come behind those in the buffer, at least not next.
    is_cut: bool,
    allowance: Allowance,
}

#[derive(Debug)]
enum State {
    /// A head or a frame begins.
    Between,
    /// So many bytes are of no interest, or of a frame that is damaged.
    Skip(u64),
    /// Nobody knows where something begins.
    Lost { from: u64, reason: Option<String> },
}

/// A frame's header.
struct Opening {
    header: FrameHeader,
    header_len: usize,
    len: usize,
}

impl Stream {
    /// A direction that is known to be of a grid.
    pub(super) fn known() -> Self {
        Self {
            buffer: BytesMut::new(),
            at: 0,
            state: State::Between,
            fragments: Fragments::default(),
            is_known: true,
            is_cut: false,
            allowance: Allowance::new(),
        }
    }

    /// A direction of any connection, seen from its start or from later.
    pub(super) fn unknown() -> Self {
        Self {
            is_known: false,
            ..Self::known()
        }
    }

    /// Whether it has been seen to be websocket.
    pub(super) fn is_known(&self) -> bool {
        self.is_known
    }

    /// Takes the next bytes.
    pub(super) fn push(&mut self, bytes: &[u8], found: &mut Vec<Found>) {
        self.allowance.earn(bytes.len());
        self.buffer.extend_from_slice(bytes);
        while self.step(found) {}
    }

    /// The next `len` bytes are missing.
    pub(super) fn lose(&mut self, len: u64, found: &mut Vec<Found>) {
        self.finish(found);
        match &mut self.state {
            State::Skip(left) if *left >= len => {
                *left -= len;
                self.at = self.at.saturating_add(len);
                if let State::Skip(0) = self.state {
                    self.state = State::Between;
                }
                return;
            }
            State::Between => {
                if let Some(left) = self.broken_frame(len, found) {
                    self.at = self.at.saturating_add(len);
                    self.state = left;
                    return;
                }
            }
            State::Skip(_) | State::Lost { .. } => {}
        }
        let missing = || Some(format!("{len} bytes are missing"));
        let (from, reason) = match &mut self.state {
            State::Lost { from, reason } => (*from, reason.take().or_else(missing)),
            State::Between | State::Skip(_) => (self.at, missing()),
        };
        self.fragments.give_up(found);
        self.advance(self.buffer.len());
        self.at = self.at.saturating_add(len);
        self.state = State::Lost { from, reason };
    }

    /// Nothing more comes.
    pub(super) fn end(&mut self, found: &mut Vec<Found>) {
        self.finish(found);
        match std::mem::replace(&mut self.state, State::Between) {
            State::Between if !self.buffer.is_empty() => self.cut_short(found),
            State::Lost { from, reason } => {
                self.advance(self.buffer.len());
                self.tell_lost(from, reason, found);
            }
            State::Between | State::Skip(_) => {}
        }
        self.fragments.give_up(found);
        self.buffer = BytesMut::new();
    }

    /// Finds what is in the buffer behind what seemed to begin and does not go on.
    fn finish(&mut self, found: &mut Vec<Found>) {
        self.is_cut = true;
        while self.step(found) {}
        self.is_cut = false;
    }

    /// Finds one thing more; false where that takes more bytes.
    fn step(&mut self, found: &mut Vec<Found>) -> bool {
        match self.state {
            State::Between => self.between(found),
            State::Skip(left) => {
                let here = self
                    .buffer
                    .len()
                    .min(usize::try_from(left).unwrap_or(usize::MAX));
                self.advance(here);
                let left = left.saturating_sub(u64::try_from(here).unwrap_or(u64::MAX));
                self.state = match left {
                    0 => State::Between,
                    left => State::Skip(left),
                };
                left == 0
            }
            State::Lost { .. } => self.search(found),
        }
    }

    fn between(&mut self, found: &mut Vec<Found>) -> bool {
        if self.buffer.is_empty() {
            return false;
        }
        match head::begins(&self.buffer) {
            Verdict::Yes => return self.head(found),
            Verdict::Wait => return false,
            Verdict::No => {}
        }
        if !self.is_known {
            self.state = State::Lost {
                from: self.at,
                reason: None,
            };
            return true;
        }
        match self.opening() {
            Ok(None) => false,
            Ok(Some(opening)) if self.buffer.len() < opening.header_len + opening.len => false,
            Ok(Some(opening)) => {
                self.frame(&opening, found);
                true
            }
            Err(reason) => self.lost(reason),
        }
    }

    fn head(&mut self, found: &mut Vec<Found>) -> bool {
        let (head, len) = match head::parse(&self.buffer) {
            Ok(Some(parsed)) => parsed,
            Ok(None) if self.buffer.len() <= head::LONGEST => return false,
            Ok(None) => return self.lost("an http head that does not end".to_owned()),
            Err(error) => return self.lost(format!("no http head: {error}")),
        };
        self.is_known |= head.upgrades();
        self.state = match head.behind() {
            Behind::Next => State::Between,
            Behind::Body(len) => State::Skip(len),
            Behind::Unknown => State::Skip(u64::MAX),
        };
        found.push(self.found(Piece::Head(head)));
        self.advance(len);
        true
    }

    /// The header of the frame that begins here; none where it is not there to its end.
    fn opening(&self) -> Result<Option<Opening>, String> {
        let mut cursor = Cursor::new(self.buffer.as_ref());
        let (header, len) = match FrameHeader::parse(&mut cursor) {
            Ok(Some(parsed)) => parsed,
            Ok(None) => return Ok(None),
            Err(_) => return Err("no websocket frame: a reserved opcode".to_owned()),
        };
        if header.rsv1 || header.rsv2 || header.rsv3 {
            return Err("no websocket frame: reserved bits are set".to_owned());
        }
        let is_control = matches!(header.opcode, OpCode::Control(_));
        if is_control && (len > 125 || !header.is_final) {
            return Err("no websocket frame: a control frame that is long or in parts".to_owned());
        }
        match usize::try_from(len) {
            Ok(len) if len <= LARGEST => Ok(Some(Opening {
                header_len: usize::try_from(cursor.position()).unwrap_or(usize::MAX),
                header,
                len,
            })),
            _ => Err(format!("a websocket frame of {len} bytes")),
        }
    }

    /// Takes a whole frame.
    fn frame(&mut self, opening: &Opening, found: &mut Vec<Found>) {
        let at = self.at;
        self.advance(opening.header_len);
        let payload = self.buffer.get(..opening.len).unwrap_or_default();
        let payload = Bytes::from(unmasked(payload, opening.header.mask));
        self.advance(opening.len);
        let is_final = opening.header.is_final;
        let what = match opening.header.opcode {
            OpCode::Control(Control::Close) => Piece::Close(payload),
            OpCode::Control(Control::Ping) => Piece::Ping(payload),
            OpCode::Control(_) => Piece::Pong(payload),
            OpCode::Data(Data::Continue) => {
                return self.fragments.go_on(at, &payload, 0, is_final, found);
            }
            OpCode::Data(data) => {
                self.fragments.give_up(found);
                let is_text = data == Data::Text;
                if !is_final {
                    self.fragments.begin(at, is_text);
                    return self.fragments.go_on(at, &payload, 0, false, found);
                }
                if is_text {
                    Piece::Text(payload)
                } else {
                    Piece::Message {
                        bytes: payload,
                        lost: 0,
                    }
                }
            }
        };
        found.push(Found { at, what });
    }

    /// What is there of a frame of which the next `len` bytes are missing, and how it goes on
    /// behind them; none where the frame ends among them, so that nobody knows.
    fn broken_frame(&mut self, len: u64, found: &mut Vec<Found>) -> Option<State> {
        if !self.is_known || head::begins(&self.buffer) != Verdict::No {
            return None;
        }
        let opening = self.opening().ok()??;
        let here = self.buffer.len().checked_sub(opening.header_len)?;
        let missing = u64::try_from(opening.len.checked_sub(here)?).ok()?;
        let left = missing.checked_sub(len)?;
        let at = self.at;
        let payload = self.buffer.get(opening.header_len..).unwrap_or_default();
        let payload = Bytes::from(unmasked(payload, opening.header.mask));
        self.advance(self.buffer.len());
        let is_final = opening.header.is_final;
        match opening.header.opcode {
            OpCode::Data(Data::Continue) => {
                self.fragments.go_on(at, &payload, missing, is_final, found);
            }
            OpCode::Data(data) => {
                self.fragments.give_up(found);
                self.fragments.begin(at, data == Data::Text);
                self.fragments.go_on(at, &payload, missing, is_final, found);
            }
            OpCode::Control(_) => {
                let reason = format!("{missing} bytes of a control frame are missing");
                let skipped = u64::try_from(payload.len()).unwrap_or(u64::MAX);
                let what = Piece::Damage { reason, skipped };
                found.push(Found { at, what });
            }
        }
        Some(match left {
            0 => State::Between,
            left => State::Skip(left),
        })
    }

    /// What the end of all bytes leaves of a frame or a head.
    fn cut_short(&mut self, found: &mut Vec<Found>) {
        let here = self.buffer.len();
        match self.opening() {
            Ok(Some(opening))
                if self.is_known
                    && head::begins(&self.buffer) == Verdict::No
                    && here >= opening.header_len =>
            {
                let missing = opening.len.saturating_sub(here - opening.header_len);
                self.broken_frame(u64::try_from(missing).unwrap_or(u64::MAX), found);
            }
            _ => {
                let reason = "the bytes end in the middle of a header".to_owned();
                let skipped = u64::try_from(here).unwrap_or(u64::MAX);
                found.push(self.found(Piece::Damage { reason, skipped }));
            }
        }
    }

    fn lost(&mut self, reason: String) -> bool {
        self.state = State::Lost {
            from: self.at,
            reason: Some(reason),
        };
        // What begins here is what can't be read.
        self.advance(1);
        true
    }

    /// Passes over what is nothing; false where more bytes are needed to tell.
    fn search(&mut self, found: &mut Vec<Found>) -> bool {
        let mut begins = None;
        for at in 0..self.buffer.len() {
            let here = self.buffer.get(at..).unwrap_or_default();
            let verdict = match here.first() {
                Some(0x82) => search::frame(here, &mut self.allowance),
                Some(b'G' | b'H') => head::whole(here),
                _ => Verdict::No,
            };
            if verdict == Verdict::Yes || (verdict == Verdict::Wait && !self.is_cut) {
                begins = Some((at, verdict));
                break;
            }
        }
        let Some((at, verdict)) = begins else {
            self.advance(self.buffer.len());
            return false;
        };
        self.advance(at);
        if verdict == Verdict::Wait {
            return false;
        }
        let state = std::mem::replace(&mut self.state, State::Between);
        if let State::Lost { from, reason } = state {
            self.fragments.give_up(found);
            self.tell_lost(from, reason, found);
        }
        // A head alone tells nothing yet; whether it does is seen when it is read.
        self.is_known |= self.buffer.first() == Some(&0x82);
        true
    }

    /// Bytes from `from` up to here could not be read.
    fn tell_lost(&self, from: u64, reason: Option<String>, found: &mut Vec<Found>) {
        let skipped = self.at.saturating_sub(from);
        if skipped == 0 {
            return;
        }
        let reason = reason.unwrap_or_else(|| "no frame begins here".to_owned());
        let what = Piece::Damage { reason, skipped };
        found.push(Found { at: from, what });
    }

    fn found(&self, what: Piece) -> Found {
        Found { at: self.at, what }
    }

    fn advance(&mut self, len: usize) {
        let len = len.min(self.buffer.len());
        self.buffer.advance(len);
        self.at = self
            .at
            .saturating_add(u64::try_from(len).unwrap_or(u64::MAX));
    }
}
