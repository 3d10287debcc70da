//! One message, owned.

use std::fmt;

use bytes::{Buf, Bytes};

use super::error::DecodeError;
use super::flags::Flags;
use super::frame::Frame;
use super::op::Op;
use crate::{HandlerId, MuxId, Payload, SubrouteId};

/// One message that owns its payload, which may be a slice of what was received. [`Frame`] says what the fields mean.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Message {
    /// The request or stream.
    pub mux: MuxId,
    /// The number of the message in its mux and direction; for [`Op::Merged`] the number of messages inside.
    pub seq: u32,
    /// The time that the caller has left, in milliseconds; 0 = no deadline.
    pub deadline_ms: u32,
    /// The handler that is called.
    pub handler: HandlerId,
    /// What the message is for.
    pub op: Op,
    /// What else is to know. [`encode`](Self::encode) takes [`Flags::SUBROUTE`] from `subroute` instead.
    pub flags: Flags,
    /// The payload; empty where there is none.
    pub payload: Bytes,
    /// The subroute that is called.
    pub subroute: Option<SubrouteId>,
}

impl Message {
    /// A message without payload, flags and all else.
    #[must_use]
    pub fn new(op: Op, mux: MuxId) -> Self {
        Self {
            op,
            mux,
            ..Self::default()
        }
    }

    /// The message that `bytes` hold. The payload is a slice of them.
    ///
    /// # Errors
    ///
    /// As [`Frame::decode`].
    pub fn decode(bytes: Bytes) -> Result<Self, DecodeError> {
        let (frame, array_end, _) = Frame::decode_parts(&bytes)?;
        let (message, len) = (Self::without_payload(&frame), frame.payload.len());
        Ok(message.with_tail(bytes, array_end, len))
    }

    /// This message with `content` as its payload, and with [`Flags::PAYLOAD_IS_ZERO`] exactly where that is present and
    /// empty.
    #[must_use]
    pub fn with_content(mut self, content: Payload) -> Self {
        let is_zero = !content.is_absent() && content.is_empty();
        self.flags.set(Flags::PAYLOAD_IS_ZERO, is_zero);
        self.payload = content.into_bytes();
        self
    }

    /// The payload as its user sees it: one without bytes is present only with [`Flags::PAYLOAD_IS_ZERO`].
    #[must_use]
    pub fn content(&self) -> Payload {
        if self.payload.is_empty() && !self.flags.contains(Flags::PAYLOAD_IS_ZERO) {
            Payload::Absent
        } else {
            Payload::Present(self.payload.clone())
        }
    }

    /// As [`content`](Self::content), without one more owner of the payload.
    #[must_use]
    pub fn into_content(self) -> Payload {
        if self.payload.is_empty() && !self.flags.contains(Flags::PAYLOAD_IS_ZERO) {
            Payload::Absent
        } else {
            Payload::Present(self.payload)
        }
    }

    /// The same message, borrowed.
    #[must_use]
    pub fn as_frame(&self) -> Frame<'_> {
        Frame {
            mux: self.mux,
            seq: self.seq,
            deadline_ms: self.deadline_ms,
            handler: self.handler,
            op: self.op,
            flags: self.flags,
            payload: &self.payload,
            subroute: self.subroute,
        }
    }

    /// The number of bytes that [`encode`](Self::encode) appends.
    #[must_use]
    pub fn encoded_len(&self) -> usize {
        self.as_frame().encoded_len()
    }

    /// Appends the message, as [`Frame::encode`] does.
    ///
    /// # Panics
    ///
    /// When the payload has 4 GiB or more.
    pub fn encode(&self, out: &mut Vec<u8>) {
        self.as_frame().encode(out);
    }

    /// All of `frame` but its payload.
    pub(super) fn without_payload(frame: &Frame<'_>) -> Self {
        Self {
            mux: frame.mux,
            seq: frame.seq,
            deadline_ms: frame.deadline_ms,
            handler: frame.handler,
            op: frame.op,
            flags: frame.flags,
            payload: Bytes::new(),
            subroute: frame.subroute,
        }
    }

    /// This message with the `len` bytes before `end` as its payload.
    ///
    /// Narrows `bytes` instead of slicing them, which spares the counting of one more owner.
    pub(super) fn with_tail(mut self, mut bytes: Bytes, end: usize, len: usize) -> Self {
        if len > 0 {
            bytes.truncate(end);
            bytes.advance(end - len);
            self.payload = bytes;
        }
        self
    }
}

/// Shows the payload's length and never its bytes.
impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.as_frame(), f)
    }
}
