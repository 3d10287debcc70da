//! The two structures of the handshake (protocol sections 2 and 3).

use std::fmt;

use bytes::Bytes;

use super::error::{DecodeError, Field};
use super::extra::Extra;
use super::structure::{self, ID_LEN, key_len, put_key, read_id};
use super::text::Text;
use super::time::Timestamp;
use super::writer::{bin_len, put_bin, put_bool, put_small_map, put_str, str_len};
use crate::InstanceId;

/// The payload of [`Op::Connect`](super::Op::Connect): who dials.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct ConnectRequest {
    /// The dialer's random id.
    pub id: InstanceId,
    /// The dialer's name.
    pub host: Text,
    /// The dialer's clock.
    pub time: Timestamp,
    /// What proves that the dialer belongs to the grid. Never shown.
    pub token: Text,
    /// What the dialer can do beyond the protocol.
    pub extra: Option<Extra>,
}

impl ConnectRequest {
    /// The request that `bytes` begin with. Keys may come in any order, unknown ones are skipped, missing ones leave zero
    /// values, and of a key that comes twice the last counts. The texts are slices of `bytes`.
    ///
    /// # Errors
    ///
    /// When the bytes are no map, are cut short, or hold a value of the wrong type under a known key.
    pub fn decode(bytes: &Bytes) -> Result<Self, DecodeError> {
        Self::decode_prefix(bytes).map(|(value, _)| value)
    }

    /// As [`decode`](Self::decode), and how many bytes the request has.
    ///
    /// # Errors
    ///
    /// As [`decode`](Self::decode).
    pub fn decode_prefix(bytes: &Bytes) -> Result<(Self, usize), DecodeError> {
        let mut value = Self::default();
        let len = structure::read(bytes, |key, reader| {
            match key {
                b"ID" => value.id = read_id(reader)?,
                b"Host" => value.host = reader.text(bytes, Field::Host)?,
                b"Time" => value.time = Timestamp::read(reader, Field::Time)?,
                b"Token" => value.token = reader.text(bytes, Field::Token)?,
                b"X" => value.extra = Extra::read(reader)?,
                _ => return Ok(false),
            }
            Ok(true)
        })?;
        Ok((value, len))
    }

    /// The number of bytes that [`encode`](Self::encode) appends.
    #[must_use]
    pub fn encoded_len(&self) -> usize {
        1 + key_len("ID")
            + bin_len(ID_LEN)
            + key_len("Host")
            + str_len(self.host.len())
            + key_len("Time")
            + Timestamp::ENCODED_LEN
            + key_len("Token")
            + str_len(self.token.len())
            + self.extra.as_ref().map_or(0, Extra::entry_len)
    }

    /// Appends the request.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.reserve(self.encoded_len());
        put_small_map(out, 4 + u8::from(self.extra.is_some()));
        put_key(out, "ID");
        put_bin(out, self.id.as_bytes());
        put_key(out, "Host");
        put_str(out, self.host.as_bytes());
        put_key(out, "Time");
        self.time.write(out);
        put_key(out, "Token");
        put_str(out, self.token.as_bytes());
        if let Some(extra) = &self.extra {
            extra.write_entry(out);
        }
    }
}

/// Hides the token.
impl fmt::Debug for ConnectRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnectRequest")
            .field("id", &self.id)
            .field("host", &self.host)
            .field("time", &self.time)
            .field("token", &format_args!("<hidden>"))
            .field("extra", &self.extra)
            .finish()
    }
}

/// The payload of [`Op::ConnectResponse`](super::Op::ConnectResponse): whether the acceptor takes the connection.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct ConnectResponse {
    /// The acceptor's random id.
    pub id: InstanceId,
    /// Whether the connection is taken.
    pub accepted: bool,
    /// Why not; empty where it is taken. [`ConnectRejection`](super::ConnectRejection) knows the texts.
    pub rejected_reason: Text,
    /// What the acceptor can do beyond the protocol.
    pub extra: Option<Extra>,
}

impl ConnectResponse {
    /// The response that `bytes` begin with, read as [`ConnectRequest::decode`] reads.
    ///
    /// # Errors
    ///
    /// As [`ConnectRequest::decode`].
    pub fn decode(bytes: &Bytes) -> Result<Self, DecodeError> {
        Self::decode_prefix(bytes).map(|(value, _)| value)
    }

    /// As [`decode`](Self::decode), and how many bytes the response has.
    ///
    /// # Errors
    ///
    /// As [`ConnectRequest::decode`].
    pub fn decode_prefix(bytes: &Bytes) -> Result<(Self, usize), DecodeError> {
        let mut value = Self::default();
        let len = structure::read(bytes, |key, reader| {
            match key {
                b"ID" => value.id = read_id(reader)?,
                b"Accepted" => value.accepted = reader.bool(Field::Accepted)?,
                b"RejectedReason" => {
                    value.rejected_reason = reader.text(bytes, Field::RejectedReason)?;
                }
                b"X" => value.extra = Extra::read(reader)?,
                _ => return Ok(false),
            }
            Ok(true)
        })?;
        Ok((value, len))
    }

    /// The number of bytes that [`encode`](Self::encode) appends.
    #[must_use]
    pub fn encoded_len(&self) -> usize {
        1 + key_len("ID")
            + bin_len(ID_LEN)
            + key_len("Accepted")
            + 1
            + key_len("RejectedReason")
            + str_len(self.rejected_reason.len())
            + self.extra.as_ref().map_or(0, Extra::entry_len)
    }

    /// Appends the response.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.reserve(self.encoded_len());
        put_small_map(out, 3 + u8::from(self.extra.is_some()));
        put_key(out, "ID");
        put_bin(out, self.id.as_bytes());
        put_key(out, "Accepted");
        put_bool(out, self.accepted);
        put_key(out, "RejectedReason");
        put_str(out, self.rejected_reason.as_bytes());
        if let Some(extra) = &self.extra {
            extra.write_entry(out);
        }
    }
}
