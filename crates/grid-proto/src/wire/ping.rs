//! The structures of a sign of life (protocol section 8).

use bytes::Bytes;

use super::error::{DecodeError, Field};
use super::structure::{self, key_len, put_key};
use super::text::Text;
use super::time::Timestamp;
use super::writer::{put_bool, put_nil, put_small_map, put_str, str_len};

/// The payload of [`Op::Ping`](super::Op::Ping) on mux 0.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Ping {
    /// The sender's clock, which comes back in the [`Pong`].
    pub time: Timestamp,
}

impl Ping {
    /// The ping that `bytes` begin with, read as [`ConnectRequest::decode`](super::ConnectRequest::decode) reads.
    ///
    /// # Errors
    ///
    /// As [`ConnectRequest::decode`](super::ConnectRequest::decode). A ping that can't be read is answered all the same.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        Self::decode_prefix(bytes).map(|(value, _)| value)
    }

    /// As [`decode`](Self::decode), and how many bytes the ping has.
    ///
    /// # Errors
    ///
    /// As [`decode`](Self::decode).
    pub fn decode_prefix(bytes: &[u8]) -> Result<(Self, usize), DecodeError> {
        let mut value = Self::default();
        let len = structure::read(bytes, |key, reader| {
            match key {
                b"t" => value.time = Timestamp::read(reader, Field::Time)?,
                _ => return Ok(false),
            }
            Ok(true)
        })?;
        Ok((value, len))
    }

    /// The number of bytes that [`encode`](Self::encode) appends.
    #[must_use]
    pub const fn encoded_len(&self) -> usize {
        1 + key_len("t") + Timestamp::ENCODED_LEN
    }

    /// Appends the ping.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.reserve(self.encoded_len());
        put_small_map(out, 1);
        put_key(out, "t");
        self.time.write(out);
    }
}

/// The payload of [`Op::Pong`](super::Op::Pong).
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Pong {
    /// Whether the mux that was pinged isn't there.
    pub not_found: bool,
    /// Why the mux is ending, where it is.
    pub error: Option<Text>,
    /// The time of the [`Ping`]; [`Timestamp::ZERO`] where it had none.
    pub time: Timestamp,
}

impl Pong {
    /// The pong that `bytes` begin with, read as [`ConnectRequest::decode`](super::ConnectRequest::decode) reads.
    ///
    /// # Errors
    ///
    /// As [`ConnectRequest::decode`](super::ConnectRequest::decode).
    pub fn decode(bytes: &Bytes) -> Result<Self, DecodeError> {
        Self::decode_prefix(bytes).map(|(value, _)| value)
    }

    /// As [`decode`](Self::decode), and how many bytes the pong has.
    ///
    /// # Errors
    ///
    /// As [`decode`](Self::decode).
    pub fn decode_prefix(bytes: &Bytes) -> Result<(Self, usize), DecodeError> {
        let mut value = Self::default();
        let len = structure::read(bytes, |key, reader| {
            match key {
                b"nf" => value.not_found = reader.bool(Field::NotFound)?,
                b"e" if reader.nil() => value.error = None,
                b"e" => value.error = Some(reader.text(bytes, Field::Error)?),
                b"t" => value.time = Timestamp::read(reader, Field::Time)?,
                _ => return Ok(false),
            }
            Ok(true)
        })?;
        Ok((value, len))
    }

    /// The number of bytes that [`encode`](Self::encode) appends.
    #[must_use]
    pub fn encoded_len(&self) -> usize {
        let error_len = self.error.as_ref().map_or(1, |error| str_len(error.len()));
        1 + key_len("nf") + 1 + key_len("e") + error_len + key_len("t") + Timestamp::ENCODED_LEN
    }

    /// Appends the pong.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.reserve(self.encoded_len());
        put_small_map(out, 3);
        put_key(out, "nf");
        put_bool(out, self.not_found);
        put_key(out, "e");
        match &self.error {
            Some(error) => put_str(out, error.as_bytes()),
            None => put_nil(out),
        }
        put_key(out, "t");
        self.time.write(out);
    }
}
