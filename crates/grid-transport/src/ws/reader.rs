//! From bytes to messages.

use std::{fmt, sync::Arc};

use bytes::{BufMut, Bytes, BytesMut};
use tokio::io::AsyncReadExt;
use tungstenite::protocol::frame::{
    FrameHeader,
    coding::{Control as ControlCode, Data, OpCode},
};

use super::{
    Calm, Meter, ReadHalf, Role, WsError,
    control::Control,
    mask,
    parts::{Large, Partial, grow, make_room},
};
use crate::config::Settings;

/// The smallest buffer to read into, and so what a connection at rest holds.
const SMALL_READ: usize = 1024;

/// A buffer with less room than this is left to the messages that are slices of it.
const MIN_ROOM: usize = 1024;

/// A frame larger than this gets a buffer of its own, which grows as bytes arrive.
pub(crate) const LARGE_FRAME: usize = 64 * 1024;

/// The room that such a frame begins with: enough for a payload of [`LARGE_FRAME`] and what is around it.
pub(super) const FIRST_ROOM: usize = LARGE_FRAME + 1024;

/// The reading half: whole messages, whatever frames they came in.
pub(crate) struct WsReader {
    io: ReadHalf,
    pub(super) role: Role,
    /// What was read and not taken yet.
    pub(super) buffer: BytesMut,
    /// How much to read at once: between [`SMALL_READ`] and `max_read`, as much as comes.
    next_read: usize,
    max_read: usize,
    /// Of reads that would have had room in a quarter of that.
    calm: Calm,
    allocated: usize,
    pub(super) max_message: usize,
    frame: Option<Frame>,
    /// The fragments of an unfinished message.
    pub(super) partial: Option<Partial>,
    pub(super) control: Arc<Control>,
    pub(super) meter: Arc<Meter>,
    ended: bool,
}

/// A message, of the kinds that the peer may send.
#[derive(Debug)]
pub(crate) enum Incoming {
    Binary(Bytes),
    /// Not checked to be UTF-8.
    Text(Bytes),
}

/// What the peer may send without sending a message.
enum Arrived {
    Message(Incoming),
    /// A ping, a pong, or a fragment with nothing in it.
    Nothing,
}

/// A frame whose header was read.
pub(super) struct Frame {
    pub(super) header: FrameHeader,
    pub(super) len: usize,
    /// The payload so far, where it is a large one.
    pub(super) large: Option<Large>,
}

impl WsReader {
    pub(super) fn new(
        io: ReadHalf,
        ahead: BytesMut,
        role: Role,
        settings: &Settings,
        control: Arc<Control>,
        meter: Arc<Meter>,
    ) -> Self {
        meter.read(ahead.len());
        Self {
            io,
            role,
            buffer: ahead,
            next_read: SMALL_READ,
            max_read: settings.read_chunk.max(SMALL_READ),
            calm: Calm::default(),
            allocated: 0,
            max_message: settings.max_handshake_message,
            frame: None,
            partial: None,
            control,
            meter,
            ended: false,
        }
    }

    pub(super) fn set_max_message(&mut self, max: usize) {
        self.max_message = max;
    }

    /// The next binary message; `None` for something else that came and is skipped, so that it can be counted: text,
    /// pings, which are left to the writer to answer, pongs, and fragments with nothing in them.
    ///
    /// The message is a slice of the buffer it was read into, unless it is a large one.
    ///
    /// # Errors
    ///
    /// Why there will be no more. Every later call fails with [`WsError::Eof`].
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost when the future is dropped.
    pub(crate) async fn next_or_noise(&mut self) -> Result<Option<Bytes>, WsError> {
        Ok(match self.arrives().await? {
            Arrived::Message(Incoming::Binary(bytes)) => Some(bytes),
            Arrived::Message(Incoming::Text(_)) | Arrived::Nothing => None,
        })
    }

    /// As [`next_or_noise`](Self::next_or_noise), but nothing that is skipped is told of.
    #[cfg(any(test, feature = "__fuzzing"))]
    pub(crate) async fn next(&mut self) -> Result<Bytes, WsError> {
        loop {
            if let Some(bytes) = self.next_or_noise().await? {
                return Ok(bytes);
            }
        }
    }

    /// The next message, be it binary or text.
    ///
    /// # Errors
    ///
    /// As [`next_or_noise`](Self::next_or_noise).
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost when the future is dropped.
    pub(crate) async fn next_of_any_kind(&mut self) -> Result<Incoming, WsError> {
        loop {
            if let Arrived::Message(message) = self.arrives().await? {
                return Ok(message);
            }
        }
    }

    async fn arrives(&mut self) -> Result<Arrived, WsError> {
        if self.ended {
            return Err(WsError::Eof);
        }
        let outcome = self.read_frames().await;
        self.ended = outcome.is_err();
        outcome
    }

    /// Returns when the peer has closed the byte stream, or broken it. What it sends meanwhile is kept for
    /// [`next`](Self::next); a peer that sends more than a message of a handshake is left alone.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost when the future is dropped.
    pub(crate) async fn closed(&mut self) {
        while self.buffer.len() <= self.max_message {
            if self.fill().await.is_err() {
                return;
            }
        }
        std::future::pending::<()>().await;
    }

    /// Reads until the end, and forgets it all.
    pub(super) async fn drain(&mut self) {
        let mut sink = [0; SMALL_READ];
        while matches!(self.io.read(&mut sink).await, Ok(1..)) {}
    }

    /// The memory held for what has arrived.
    #[cfg(test)]
    pub(super) fn held(&self) -> usize {
        let large = self.frame.as_ref().and_then(|frame| frame.large.as_ref());
        let partial = self.partial.as_ref();
        self.buffer.capacity()
            + large.map_or(0, |large| large.bytes.capacity())
            + partial.map_or(0, |partial| partial.bytes.capacity())
    }

    async fn read_frames(&mut self) -> Result<Arrived, WsError> {
        loop {
            if let Some(arrived) = self.parse()? {
                return Ok(arrived);
            }
            if self.fill().await? == 0 {
                return Err(WsError::Eof);
            }
        }
    }

    /// Reads once.
    async fn fill(&mut self) -> Result<usize, WsError> {
        let read = match &mut self.frame {
            Some(Frame {
                large: Some(Large { bytes, end, .. }),
                ..
            }) => {
                let missing = *end - bytes.len();
                if bytes.capacity() == bytes.len() {
                    // Twice what has arrived, and at the end exactly as much as the frame has.
                    bytes.reserve_exact(missing.min(bytes.len().max(LARGE_FRAME)));
                }
                self.io.read_buf(&mut bytes.limit(missing)).await?
            }
            frame => {
                let missing = frame
                    .as_ref()
                    .map_or(0, |frame| frame.len - self.buffer.len());
                if self.buffer.capacity() - self.buffer.len() < MIN_ROOM.max(missing) {
                    let wanted = self.next_read.max(missing);
                    make_room(&mut self.buffer, &mut self.allocated, wanted);
                }
                let room = (self.buffer.capacity() - self.buffer.len()).min(self.max_read);
                let mut into = (&mut self.buffer).limit(room);
                let read = self.io.read_buf(&mut into).await?;
                let calm = self.calm.after(read < room && read < self.next_read / 4);
                if read == room {
                    self.next_read = (self.next_read * 4).min(self.max_read);
                } else if calm {
                    self.next_read = (self.next_read / 2).max(SMALL_READ);
                }
                read
            }
        };
        self.meter.read(read);
        if read == 0 {
            Err(WsError::Eof)
        } else {
            Ok(read)
        }
    }

    /// The next message of the buffer, if it is all there, or a frame that is none.
    fn parse(&mut self) -> Result<Option<Arrived>, WsError> {
        loop {
            let mut frame = match self.frame.take() {
                Some(frame) => frame,
                None => match self.parse_header()? {
                    Some(frame) => frame,
                    None => return Ok(None),
                },
            };
            let complete = match &frame.large {
                Some(large) => large.bytes.len() == large.end,
                None => self.buffer.len() >= frame.len,
            };
            if !complete {
                self.frame = Some(frame);
                return Ok(None);
            }
            let arrived = match frame.large.take() {
                Some(Large {
                    mut bytes, start, ..
                }) => {
                    unmask(bytes.get_mut(start..).unwrap_or_default(), &frame.header);
                    self.take_large(&frame.header, bytes).map(Arrived::Message)
                }
                None => {
                    let mut payload = self.buffer.split_to(frame.len);
                    unmask(&mut payload, &frame.header);
                    self.take_frame(&frame.header, payload.freeze())?
                }
            };
            if arrived.is_some() {
                return Ok(arrived);
            }
        }
    }

    fn take_frame(
        &mut self,
        header: &FrameHeader,
        payload: Bytes,
    ) -> Result<Option<Arrived>, WsError> {
        match header.opcode {
            OpCode::Control(ControlCode::Close) => Err(self.take_close(&payload)),
            OpCode::Control(code) => {
                if code == ControlCode::Ping {
                    self.control.owe_pong(payload);
                }
                Ok(Some(Arrived::Nothing))
            }
            OpCode::Data(code) => {
                let nothing = payload.is_empty() && !header.is_final;
                let message = self.take_data(code == Data::Text, header.is_final, payload);
                Ok(message
                    .map(Arrived::Message)
                    .or(nothing.then_some(Arrived::Nothing)))
            }
        }
    }

    fn take_data(&mut self, text: bool, last: bool, payload: Bytes) -> Option<Incoming> {
        if last && self.partial.is_none() {
            return Some(incoming(text, payload));
        }
        let mut partial = self.partial.take().unwrap_or(Partial {
            text,
            bytes: Vec::new(),
        });
        grow(&mut partial.bytes, payload.len(), self.max_message);
        partial.bytes.extend_from_slice(&payload);
        self.take_partial(partial, last)
    }

    /// A large frame is done; its bytes stand behind those of the fragments before it.
    fn take_large(&mut self, header: &FrameHeader, bytes: Vec<u8>) -> Option<Incoming> {
        let text = match self.partial.take() {
            Some(before) => before.text,
            None => header.opcode == OpCode::Data(Data::Text),
        };
        self.take_partial(Partial { text, bytes }, header.is_final)
    }

    fn take_partial(&mut self, partial: Partial, last: bool) -> Option<Incoming> {
        if !last {
            self.partial = Some(partial);
            return None;
        }
        Some(incoming(partial.text, partial.finish()))
    }

    fn take_close(&self, payload: &[u8]) -> WsError {
        let (code, reason) = match payload.split_first_chunk::<2>() {
            Some((code, reason)) => (Some(u16::from_be_bytes(*code)), reason),
            None if payload.is_empty() => (None, payload),
            None => return WsError::Protocol("close frame with half a status"),
        };
        self.control.owe_close(code);
        WsError::Closed {
            code,
            reason: reason.to_vec().into(),
        }
    }
}

impl fmt::Debug for WsReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WsReader")
            .field("role", &self.role)
            .field("buffered", &self.buffer.len())
            .field("ended", &self.ended)
            .finish_non_exhaustive()
    }
}

fn incoming(text: bool, bytes: Bytes) -> Incoming {
    match text {
        true => Incoming::Text(bytes),
        false => Incoming::Binary(bytes),
    }
}

fn unmask(payload: &mut [u8], header: &FrameHeader) {
    if let Some(key) = header.mask {
        mask::apply(payload, key);
    }
}
