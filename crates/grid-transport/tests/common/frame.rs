//! Websocket frames, by hand.

#![allow(dead_code, reason = "each test target uses its own part")]

pub(crate) const CONTINUE: u8 = 0;
pub(crate) const TEXT: u8 = 1;
pub(crate) const BINARY: u8 = 2;
pub(crate) const CLOSE: u8 = 8;
pub(crate) const PING: u8 = 9;
pub(crate) const PONG: u8 = 10;

/// One websocket frame, its payload unmasked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Frame {
    pub(crate) fin: bool,
    pub(crate) rsv: u8,
    pub(crate) opcode: u8,
    pub(crate) masked: bool,
    pub(crate) payload: Vec<u8>,
}

impl Frame {
    pub(crate) fn binary(payload: impl Into<Vec<u8>>, masked: bool) -> Self {
        Self {
            fin: true,
            rsv: 0,
            opcode: BINARY,
            masked,
            payload: payload.into(),
        }
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut bytes = vec![u8::from(self.fin) << 7 | self.rsv << 4 | self.opcode];
        let mask_bit = u8::from(self.masked) << 7;
        match self.payload.len() {
            len @ 0..126 => bytes.push(mask_bit | len as u8),
            len @ 126..65_536 => {
                bytes.push(mask_bit | 126);
                bytes.extend((len as u16).to_be_bytes());
            }
            len => {
                bytes.push(mask_bit | 127);
                bytes.extend((len as u64).to_be_bytes());
            }
        }
        if self.masked {
            let key = [0x3a, 0x01, 0xc4, 0x9f];
            bytes.extend(key);
            bytes.extend(
                self.payload
                    .iter()
                    .zip(key.iter().cycle())
                    .map(|(byte, key)| byte ^ key),
            );
        } else {
            bytes.extend(&self.payload);
        }
        bytes
    }

    /// The frame that `bytes` begin with, and its length, once it is all there.
    pub(crate) fn decode(bytes: &[u8]) -> Option<(Self, usize)> {
        let [first, second, ..] = *bytes else {
            return None;
        };
        let masked = second & 0x80 != 0;
        let (length_len, short) = match second & 0x7f {
            126 => (2, 0),
            127 => (8, 0),
            short => (0, usize::from(short)),
        };
        let mut at = 2;
        let length = bytes.get(at..at + length_len)?;
        let len = length
            .iter()
            .fold(short, |len, byte| len << 8 | usize::from(*byte));
        at += length_len;
        let key = match masked {
            true => bytes.get(at..at + 4)?,
            false => &[0],
        };
        at += if masked { 4 } else { 0 };
        let payload = bytes.get(at..at + len)?;
        let payload = payload
            .iter()
            .zip(key.iter().cycle())
            .map(|(byte, key)| byte ^ key)
            .collect();
        let (fin, rsv, opcode) = (first & 0x80 != 0, first >> 4 & 7, first & 15);
        Some((
            Self {
                fin,
                rsv,
                opcode,
                masked,
                payload,
            },
            at + len,
        ))
    }
}
