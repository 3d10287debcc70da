//! The structure that says why a call can't be served.

use bytes::Bytes;

use super::error::{DecodeError, Field};
use super::structure::{self, key_len, put_key};
use super::text::Text;
use super::writer::{put_small_map, put_str, str_len};

/// The payload of [`Op::MuxConnectError`](super::Op::MuxConnectError) (protocol section 6).
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct MuxConnectError {
    /// The reason. [`MuxRejection`](super::MuxRejection) knows the texts.
    pub error: Text,
}

impl MuxConnectError {
    /// The error that `bytes` begin with, read as [`ConnectRequest::decode`](super::ConnectRequest::decode) reads.
    ///
    /// # Errors
    ///
    /// As [`ConnectRequest::decode`](super::ConnectRequest::decode).
    pub fn decode(bytes: &Bytes) -> Result<Self, DecodeError> {
        Self::decode_prefix(bytes).map(|(value, _)| value)
    }

    /// As [`decode`](Self::decode), and how many bytes the error has.
    ///
    /// # Errors
    ///
    /// As [`decode`](Self::decode).
    pub fn decode_prefix(bytes: &Bytes) -> Result<(Self, usize), DecodeError> {
        let mut value = Self::default();
        let len = structure::read(bytes, |key, reader| {
            match key {
                b"Error" => value.error = reader.text(bytes, Field::Error)?,
                _ => return Ok(false),
            }
            Ok(true)
        })?;
        Ok((value, len))
    }

    /// The number of bytes that [`encode`](Self::encode) appends.
    #[must_use]
    pub fn encoded_len(&self) -> usize {
        1 + key_len("Error") + str_len(self.error.len())
    }

    /// Appends the error.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.reserve(self.encoded_len());
        put_small_map(out, 1);
        put_key(out, "Error");
        put_str(out, self.error.as_bytes());
    }
}
