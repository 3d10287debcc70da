//! From messages to bytes.

use std::{fmt, io, io::IoSlice, sync::Arc, time::Duration};

use bytes::{Buf, Bytes};
use tokio::{io::AsyncWriteExt, time::timeout};
use tungstenite::protocol::frame::{
    FrameHeader,
    coding::{Control as ControlCode, Data, OpCode},
};

use super::{Calm, Meter, Role, WriteHalf, WsError, control::Control, mask};
use crate::config::Settings;

/// Payloads up to this length are copied behind their header; larger ones are written from where they are.
const COPIED: usize = 16 * 1024;

/// What is kept of the room for messages once they are written.
pub(super) const MOST_KEPT: usize = 256 * 1024;

/// The writing half: one frame a message.
pub(crate) struct WsWriter {
    io: WriteHalf,
    role: Role,
    /// Headers, and payloads that are small.
    pub(super) head: Vec<u8>,
    /// How much of it is written.
    written: usize,
    stall: Duration,
    pub(super) control: Arc<Control>,
    pub(super) meter: Arc<Meter>,
    calm: Calm,
    /// Whether a frame was begun and not finished, so that nothing can follow it.
    broken: bool,
}

impl WsWriter {
    pub(super) fn new(
        io: WriteHalf,
        role: Role,
        settings: &Settings,
        control: Arc<Control>,
        meter: Arc<Meter>,
    ) -> Self {
        Self {
            io,
            role,
            head: Vec::new(),
            written: 0,
            stall: settings.write_timeout,
            control,
            meter,
            calm: Calm::default(),
            broken: false,
        }
    }

    /// Sends a binary message, behind a pong if one is owed, and returns when the system has taken it all.
    ///
    /// A client masks the payload in place when nobody else holds it, and in a copy otherwise.
    ///
    /// # Errors
    ///
    /// [`WsError::Stalled`] when the peer took no byte within the write timeout, however long the whole takes;
    /// [`WsError::Io`] when the byte stream broke.
    ///
    /// # Cancel safety
    ///
    /// None: a frame that was cut can't be followed by another, so every later call fails.
    pub(crate) async fn send(&mut self, payload: Bytes) -> Result<(), WsError> {
        self.begin()?;
        self.put_pong();
        let opcode = OpCode::Data(Data::Binary);
        let body = if payload.len() <= COPIED {
            self.put_frame(opcode, &payload);
            Bytes::new()
        } else {
            match self.put_header(opcode, payload.len()) {
                Some(key) => masked(payload, key),
                None => payload,
            }
        };
        self.write_out(body).await
    }

    /// Tells when the peer has asked for a sign of life, which [`send_owed`](Self::send_owed) gives it.
    pub(crate) fn control(&self) -> Arc<Control> {
        self.control.clone()
    }

    /// Sends the pong that is owed, if one is.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    ///
    /// # Cancel safety
    ///
    /// As [`send`](Self::send).
    pub(crate) async fn send_owed(&mut self) -> Result<(), WsError> {
        self.begin()?;
        self.put_pong();
        self.write_out(Bytes::new()).await
    }

    /// Sends the close frame that is owed, or else one with `code` if there is one. Says whether one was sent.
    pub(super) async fn close(&mut self, code: Option<u16>) -> Result<bool, WsError> {
        let owed = self.control.take_close();
        let payload = match (owed, code) {
            (Some(payload), _) => payload,
            (None, Some(code)) => Bytes::copy_from_slice(&code.to_be_bytes()),
            (None, None) => return Ok(false),
        };
        self.begin()?;
        self.put_frame(OpCode::Control(ControlCode::Close), &payload);
        self.write_out(Bytes::new()).await.map(|()| true)
    }

    /// Ends the byte stream in this direction.
    pub(super) async fn shutdown(&mut self) -> io::Result<()> {
        self.broken = true;
        self.io.shutdown().await
    }

    /// Adds a binary message of `len` bytes to what [`send_put`](Self::send_put) sends; `encode` appends exactly as many.
    pub(crate) fn put(&mut self, len: usize, encode: impl FnOnce(&mut Vec<u8>)) {
        if self.head.is_empty() {
            // Behind a large message it would need room for as much again.
            self.put_pong();
        }
        let key = self.put_header(OpCode::Data(Data::Binary), len);
        let start = self.head.len();
        self.head.reserve(len);
        encode(&mut self.head);
        debug_assert_eq!(self.head.len(), start + len, "its header says so");
        if let (Some(key), Some(payload)) = (key, self.head.get_mut(start..)) {
            mask::apply(payload, key);
        }
    }

    /// Sends what was [put](Self::put), and before it a pong if one was owed, and returns when the system has taken it all.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    ///
    /// # Cancel safety
    ///
    /// As [`send`](Self::send).
    pub(crate) async fn send_put(&mut self) -> Result<(), WsError> {
        if std::mem::replace(&mut self.broken, true) {
            return Err(WsError::Io(io::ErrorKind::BrokenPipe.into()));
        }
        self.write_out(Bytes::new()).await
    }

    /// Whether [`try_send_put`](Self::try_send_put) may send something.
    pub(crate) const fn can_try(&self) -> bool {
        self.io.can_try()
    }

    /// Whether something was [put](Self::put) and not all of it sent.
    pub(crate) const fn is_unfinished(&self) -> bool {
        !self.head.is_empty()
    }

    /// As [`send_put`](Self::send_put), but sends only what the system takes at once; the next `send_put` goes on with the
    /// rest.
    ///
    /// # Errors
    ///
    /// [`WsError::Io`] when the byte stream broke.
    pub(crate) fn try_send_put(&mut self) -> Result<(), WsError> {
        if self.broken {
            return Err(WsError::Io(io::ErrorKind::BrokenPipe.into()));
        }
        while let Some(rest) = self
            .head
            .get(self.written..)
            .filter(|rest| !rest.is_empty())
        {
            match self.io.try_write(rest) {
                Ok(written) => self.wrote(written)?,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    self.broken = true;
                    return Err(error.into());
                }
            }
        }
        self.finish();
        Ok(())
    }

    fn wrote(&mut self, written: usize) -> Result<(), WsError> {
        if written == 0 {
            self.broken = true;
            return Err(WsError::Io(io::ErrorKind::WriteZero.into()));
        }
        self.meter.wrote(written);
        self.written += written;
        Ok(())
    }

    /// To be called before what is put behind nothing else.
    fn begin(&mut self) -> Result<(), WsError> {
        // What was begun early and is not finished would be cut off.
        let cut = self.written > 0;
        if std::mem::replace(&mut self.broken, true) || cut {
            return Err(WsError::Io(io::ErrorKind::BrokenPipe.into()));
        }
        self.head.clear();
        Ok(())
    }

    fn put_pong(&mut self) {
        if let Some(payload) = self.control.take_pong() {
            self.put_frame(OpCode::Control(ControlCode::Pong), &payload);
        }
    }

    fn put_frame(&mut self, opcode: OpCode, payload: &[u8]) {
        let key = self.put_header(opcode, payload.len());
        let start = self.head.len();
        self.head.extend_from_slice(payload);
        if let (Some(key), Some(copy)) = (key, self.head.get_mut(start..)) {
            mask::apply(copy, key);
        }
    }

    fn put_header(&mut self, opcode: OpCode, len: usize) -> Option<[u8; 4]> {
        let key = (self.role == Role::Client).then(rand::random);
        let header = FrameHeader {
            opcode,
            mask: key,
            ..FrameHeader::default()
        };
        // Writing into memory doesn't fail.
        let _ = header.format(len as u64, &mut self.head);
        key
    }

    async fn write_out(&mut self, body: Bytes) -> Result<(), WsError> {
        let stall = self.stall;
        let stalled = |_| WsError::Stalled { after: stall };
        let mut body = body;
        loop {
            let head = self.head.get(self.written..).unwrap_or_default();
            if head.is_empty() && body.is_empty() {
                break;
            }
            let slices = [IoSlice::new(head), IoSlice::new(&body)];
            let written = if body.is_empty() {
                timeout(self.stall, self.io.write(head)).await
            } else if head.is_empty() {
                timeout(self.stall, self.io.write(&body)).await
            } else {
                timeout(self.stall, self.io.write_vectored(&slices)).await
            };
            let written = written.map_err(stalled)??;
            let of_head = written.min(head.len());
            body.advance(written - of_head);
            self.wrote(written)?;
        }
        timeout(self.stall, self.io.flush())
            .await
            .map_err(stalled)??;
        self.broken = false;
        self.finish();
        Ok(())
    }

    /// All that was put is sent.
    fn finish(&mut self) {
        self.written = 0;
        let room = self.head.capacity();
        if room > MOST_KEPT || self.calm.after(self.head.len() < room / 16) {
            // A link that has become idle keeps no trace of its busiest moment, from a few messages on.
            self.head = Vec::new();
        }
        self.head.clear();
    }
}

impl fmt::Debug for WsWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WsWriter")
            .field("role", &self.role)
            .field("broken", &self.broken)
            .finish_non_exhaustive()
    }
}

fn masked(payload: Bytes, key: [u8; 4]) -> Bytes {
    let mut payload = payload
        .try_into_mut()
        .unwrap_or_else(|shared| shared.as_ref().into());
    mask::apply(&mut payload, key);
    payload.freeze()
}
