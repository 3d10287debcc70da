//! Moments, as msgpack extensions.

use std::fmt;
use std::time::{Duration, SystemTime};

use serde::de::{self, Unexpected, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_bytes::{ByteBuf, Bytes};

use crate::msgpack::EXTENSION;

const NANOS_PER_SECOND: i32 = 1_000_000_000;

/// The reference's time: written as extension type 5, read as types 5 and −1 (protocol section 3).
///
/// Type 5 is seconds since 1970 as big-endian `i64`, then nanoseconds as big-endian `i32`;
/// nanoseconds beyond a second or below zero are carried into the seconds. Type −1 is msgpack's own
/// timestamp of 4, 8 or 12 bytes. There are no time zones.
///
/// Only msgpack has extensions. In `Json` it is an array of the type and the bytes, which reads back
/// here but is not the text that the reference's times are in JSON: give such a field a type of its
/// own.
///
/// Its default is the reference's zero time, which is what a missing field means there.
///
/// ```
/// use grid_typed::{Timestamp, msgpack};
///
/// let moment = Timestamp::new(1_700_000_000, 123_456_789);
/// let bytes = msgpack::to_vec(&moment)?;
/// assert_eq!(bytes[..3], [0xc7, 12, 5]);
/// assert_eq!(msgpack::from_slice::<Timestamp>(&bytes).ok(), Some(moment));
/// # Ok::<_, grid_typed::EncodeError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp {
    seconds: i64,
    nanos: u32,
}

impl Timestamp {
    /// The reference's zero time, 0001-01-01 00:00 UTC.
    pub const ZERO: Self = Self::new(-62_135_596_800, 0);

    /// Seconds since 1970 and nanoseconds after that second; whole seconds among the nanoseconds
    /// are carried.
    pub const fn new(seconds: i64, nanos: u32) -> Self {
        let per_second = NANOS_PER_SECOND as u32;
        Self {
            seconds: seconds.saturating_add((nanos / per_second) as i64),
            nanos: nanos % per_second,
        }
    }

    /// The system's time.
    pub fn now() -> Self {
        Self::from(SystemTime::now())
    }

    /// Seconds since 1970, rounded down.
    pub const fn seconds(self) -> i64 {
        self.seconds
    }

    /// Nanoseconds since that second, below a billion.
    pub const fn nanos(self) -> u32 {
        self.nanos
    }

    /// Whether this is [`ZERO`](Self::ZERO).
    pub fn is_zero(self) -> bool {
        self == Self::ZERO
    }

    /// The same as the system's time, if it reaches that far.
    pub fn to_system_time(self) -> Option<SystemTime> {
        let whole = Duration::from_secs(self.seconds.unsigned_abs());
        let second = if self.seconds < 0 {
            SystemTime::UNIX_EPOCH.checked_sub(whole)?
        } else {
            SystemTime::UNIX_EPOCH.checked_add(whole)?
        };
        second.checked_add(Duration::from_nanos(self.nanos.into()))
    }

    fn from_extension(kind: i8, bytes: &[u8]) -> Option<Self> {
        match (kind, bytes.len()) {
            (5, 12) => {
                let (seconds, nanos) = bytes.split_first_chunk()?;
                let seconds = i64::from_be_bytes(*seconds);
                let nanos = i32::from_be_bytes(*nanos.first_chunk()?);
                let carried = seconds.saturating_add(nanos.div_euclid(NANOS_PER_SECOND).into());
                Some(Self::new(
                    carried,
                    nanos.rem_euclid(NANOS_PER_SECOND).cast_unsigned(),
                ))
            }
            (-1, 4) => Some(Self::new(
                u32::from_be_bytes(*bytes.first_chunk()?).into(),
                0,
            )),
            (-1, 8) => {
                let both = u64::from_be_bytes(*bytes.first_chunk()?);
                let seconds = both & ((1 << 34) - 1);
                Self::exact(
                    i64::try_from(seconds).ok()?,
                    u32::try_from(both >> 34).ok()?,
                )
            }
            (-1, 12) => {
                let (nanos, seconds) = bytes.split_first_chunk()?;
                Self::exact(
                    i64::from_be_bytes(*seconds.first_chunk()?),
                    u32::from_be_bytes(*nanos),
                )
            }
            _ => None,
        }
    }

    fn exact(seconds: i64, nanos: u32) -> Option<Self> {
        (nanos < NANOS_PER_SECOND.cast_unsigned()).then_some(Self { seconds, nanos })
    }
}

impl Default for Timestamp {
    fn default() -> Self {
        Self::ZERO
    }
}

impl From<SystemTime> for Timestamp {
    fn from(time: SystemTime) -> Self {
        match time.duration_since(SystemTime::UNIX_EPOCH) {
            Ok(after) => Self::new(
                i64::try_from(after.as_secs()).unwrap_or(i64::MAX),
                after.subsec_nanos(),
            ),
            Err(before) => {
                let before = before.duration();
                let seconds = -i64::try_from(before.as_secs()).unwrap_or(i64::MAX);
                match before.subsec_nanos() {
                    0 => Self::new(seconds, 0),
                    nanos => Self::new(
                        seconds.saturating_sub(1),
                        NANOS_PER_SECOND.cast_unsigned() - nanos,
                    ),
                }
            }
        }
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut bytes = [0; 12];
        let (seconds, nanos) = bytes.split_at_mut(8);
        seconds.copy_from_slice(&self.seconds.to_be_bytes());
        nanos.copy_from_slice(&self.nanos.to_be_bytes());
        serializer.serialize_newtype_struct(EXTENSION, &(5i8, Bytes::new(&bytes)))
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_newtype_struct(EXTENSION, ExtensionVisitor)
    }
}

struct ExtensionVisitor;

impl<'de> Visitor<'de> for ExtensionVisitor {
    type Value = Timestamp;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a time: extension type 5 of 12 bytes, or type -1 of 4, 8 or 12")
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(
        self,
        deserializer: D,
    ) -> Result<Timestamp, D::Error> {
        let (kind, bytes) = <(i8, ByteBuf)>::deserialize(deserializer)?;
        Timestamp::from_extension(kind, &bytes)
            .ok_or_else(|| de::Error::invalid_value(Unexpected::Other("another extension"), &self))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::msgpack;

    fn read(hex: &str) -> Option<(i64, u32)> {
        let bytes = hex::decode(hex).expect("hex");
        msgpack::from_slice::<Timestamp>(&bytes)
            .ok()
            .map(|time| (time.seconds, time.nanos))
    }

    #[test]
    fn reads_what_the_reference_reads() {
        let cases = [
            (
                "c70c05000000006553f100075bcd15",
                Some((1_700_000_000, 123_456_789)),
            ),
            (
                "c8000c05000000006553f100075bcd15",
                Some((1_700_000_000, 123_456_789)),
            ),
            ("c70c050000000000000001ffffffff", Some((0, 999_999_999))),
            ("c70c0500000000000000017fffffff", Some((3, 147_483_647))),
            ("d6ff6553f100", Some((1_700_000_000, 0))),
            ("d7ff1d6f34546553f100", Some((1_700_000_000, 123_456_789))),
            ("c70cff00000007fffffffffffffffb", Some((-5, 7))),
            ("d7fffffffffc00000000", None),
            ("c70cff3b9aca000000000000000000", None),
            ("d7050000000000000001", None),
            ("d4ff00", None),
            ("c70c06000000000000000000000000", None),
            ("ce00000001", None),
            ("c0", None),
            ("aa323032302d30312d3031", None),
            ("92ff c404 6553f100", None),
            ("c70c05000000006553f1", None),
        ];
        for (hex, expected) in cases {
            assert_eq!(read(&hex.replace(' ', "")), expected, "{hex}");
        }
    }

    #[test]
    fn writes_what_the_reference_writes() {
        let cases = [
            (Timestamp::default(), "c70c05fffffff1886e090000000000"),
            (Timestamp::new(0, 0), "c70c05000000000000000000000000"),
            (
                Timestamp::new(-1, 999_999_999),
                "c70c05ffffffffffffffff3b9ac9ff",
            ),
            (
                Timestamp::new(17_179_869_184, 5),
                "c70c05000000040000000000000005",
            ),
        ];
        for (time, expected) in cases {
            assert_eq!(
                hex::encode(msgpack::to_vec(&time).expect("encodes")),
                expected
            );
        }
    }

    #[test]
    fn follows_the_systems_time() {
        for (seconds, nanos) in [
            (0, 0),
            (-1, 999_999_999),
            (-1, 0),
            (-7, 1),
            (1_700_000_000, 123_456_789),
        ] {
            let time = Timestamp::new(seconds, nanos);
            assert_eq!(time.to_system_time().map(Timestamp::from), Some(time));
        }
        assert!(Timestamp::now() > Timestamp::new(1_700_000_000, 0));
        assert_eq!(Timestamp::new(1, 2_000_000_003), Timestamp::new(3, 3));
    }
}
