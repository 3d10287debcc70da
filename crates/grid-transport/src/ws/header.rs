//! The header of a frame, and what may follow what.

use std::{io::Cursor, mem};

use bytes::Buf;
use tungstenite::protocol::frame::{
    FrameHeader,
    coding::{Data, OpCode},
};

use super::{
    Role, TOO_LARGE, WsError,
    parts::{Large, grow},
    reader::{FIRST_ROOM, Frame, LARGE_FRAME, WsReader},
};

/// A close frame's status and reason, at most.
const MAX_CONTROL: u64 = 125;

impl WsReader {
    /// Takes the header of the next frame from the buffer, where all of it is there.
    pub(super) fn parse_header(&mut self) -> Result<Option<Frame>, WsError> {
        let mut cursor = Cursor::new(&self.buffer[..]);
        let parsed = FrameHeader::parse(&mut cursor)
            .map_err(|_| WsError::Protocol("websocket frame of an unknown kind"))?;
        let Some((header, len)) = parsed else {
            return Ok(None);
        };
        let header_len = usize::try_from(cursor.position()).unwrap_or(usize::MAX);
        let len = self.check_header(&header, len)?;
        self.buffer.advance(header_len.min(self.buffer.len()));

        let large = (len > LARGE_FRAME).then(|| {
            let arrived = self.buffer.split_to(len.min(self.buffer.len()));
            let mut bytes = match &mut self.partial {
                Some(partial) => mem::take(&mut partial.bytes),
                // What the first read would ask for: then nothing that has arrived is moved again.
                None => Vec::with_capacity(len.min(FIRST_ROOM).max(arrived.len())),
            };
            let (start, end) = (bytes.len(), bytes.len() + len);
            grow(&mut bytes, arrived.len(), end);
            bytes.extend_from_slice(&arrived);
            Large { bytes, start, end }
        });
        Ok(Some(Frame { header, len, large }))
    }

    fn check_header(&self, header: &FrameHeader, len: u64) -> Result<usize, WsError> {
        if header.rsv1 || header.rsv2 || header.rsv3 {
            return Err(WsError::Protocol("websocket frame with reserved bits"));
        }
        match (self.role, header.mask) {
            (Role::Server, None) => {
                return Err(WsError::Protocol("websocket frame without a mask"));
            }
            (Role::Client, Some(_)) => {
                return Err(WsError::Protocol("websocket frame with a mask"));
            }
            _ => {}
        }
        match (header.opcode, &self.partial) {
            (OpCode::Control(_), _) if !header.is_final => {
                return Err(WsError::Protocol("fragmented control frame"));
            }
            (OpCode::Control(_), _) if len > MAX_CONTROL => {
                return Err(WsError::Protocol("control frame above 125 bytes"));
            }
            (OpCode::Data(Data::Continue), None) => {
                return Err(WsError::Protocol("websocket fragment without a beginning"));
            }
            (OpCode::Data(Data::Text | Data::Binary), Some(_)) => {
                return Err(WsError::Protocol("websocket message inside another one"));
            }
            _ => {}
        }
        let before = match header.opcode {
            OpCode::Data(_) => self
                .partial
                .as_ref()
                .map_or(0, |partial| partial.bytes.len()),
            OpCode::Control(_) => 0,
        };
        let total = len.saturating_add(before as u64);
        match usize::try_from(len) {
            Ok(len) if total <= self.max_message as u64 => Ok(len),
            _ => {
                self.control.owe_close(Some(TOO_LARGE));
                Err(WsError::TooLarge {
                    len: total,
                    limit: self.max_message,
                })
            }
        }
    }
}
