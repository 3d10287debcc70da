//! What nodes of this project tell each other beyond the protocol.

use super::error::{DecodeError, Field};
use super::reader::Reader;
use super::structure::{key_len, put_key};
use super::writer::{put_small_map, put_uint, uint_len};

/// What a node of this project says of itself under the key `X` of a connect request or response (protocol section 10).
///
/// Other nodes skip the key. It only ever switches extras on: a peer without it gets the plain protocol.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Extra {
    /// The version of this project's additions.
    pub version: u32,
    /// What the node can do, a bit each. Bits that aren't known mean nothing.
    pub capabilities: u64,
}

impl Extra {
    /// The node stops single requests whose callers have gone (protocol section 6).
    pub const CANCELS_REQUESTS: u64 = 1;
    /// The node reads how many credits a message returns, and so may be told of several at once (protocol section 7).
    pub const COUNTS_CREDIT: u64 = 1 << 1;

    /// Whether the node can do all of these.
    #[must_use]
    pub const fn can(&self, capabilities: u64) -> bool {
        self.capabilities & capabilities == capabilities
    }

    pub(super) const KEY: &'static str = "X";

    /// Passes over the value and reads it where it is of the known form. A value of another form is none.
    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Option<Self>, DecodeError> {
        let mut ahead = reader.clone();
        reader.skip(Field::Extra)?;
        Ok(Self::read_map(&mut ahead).ok())
    }

    pub(super) fn entry_len(&self) -> usize {
        key_len(Self::KEY)
            + 1
            + key_len("version")
            + uint_len(self.version.into())
            + key_len("capabilities")
            + uint_len(self.capabilities)
    }

    pub(super) fn write_entry(&self, out: &mut Vec<u8>) {
        put_key(out, Self::KEY);
        put_small_map(out, 2);
        put_key(out, "version");
        put_uint(out, self.version.into());
        put_key(out, "capabilities");
        put_uint(out, self.capabilities);
    }

    fn read_map(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let mut extra = Self::default();
        for _ in 0..reader.map_len(Field::Extra)? {
            match reader.key()? {
                b"version" => extra.version = reader.u32(Field::Extra)?,
                b"capabilities" => extra.capabilities = reader.u64(Field::Extra)?,
                _ => reader.skip(Field::Extra)?,
            }
        }
        Ok(extra)
    }
}
