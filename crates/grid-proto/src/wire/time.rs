//! Points in time, as nodes tell each other.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::error::{DecodeError, Field};
use super::reader::Reader;

const NANOS_PER_SEC: u32 = 1_000_000_000;
const NANOS_PER_SEC_I64: i64 = 1_000_000_000;
const NANOS_PER_SEC_I128: i128 = 1_000_000_000;

/// The extension type that is written.
const WRITTEN_TYPE: i8 = 5;
/// The extension type that msgpack reserves for time, which is read as well.
const STANDARD_TYPE: i8 = -1;

/// A point in time with nanoseconds, over the whole range that travels (protocol section 3).
///
/// Written as msgpack extension type 5 of 12 bytes, big endian: seconds as i64, nanoseconds as u32. Read as that, with
/// nanoseconds out of range carried into the seconds, and as extension type −1 in its three lengths.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Timestamp {
    /// Seconds since 1970-01-01 UTC.
    pub secs: i64,
    /// Nanoseconds since the start of that second, below 1,000,000,000.
    pub nanos: u32,
}

impl Timestamp {
    /// The start of year 1: what "no time" looks like on the wire.
    pub const ZERO: Self = Self {
        secs: -62_135_596_800,
        nanos: 0,
    };

    pub(super) const ENCODED_LEN: usize = 15;

    /// The point this many nanoseconds after 1970-01-01 UTC, or before it; the nearest that travels, where none does.
    #[must_use]
    pub fn from_unix_nanos(nanos: i128) -> Self {
        let secs = nanos.div_euclid(NANOS_PER_SEC_I128);
        match i64::try_from(secs) {
            Ok(secs) => Self {
                secs,
                nanos: u32::try_from(nanos.rem_euclid(NANOS_PER_SEC_I128)).unwrap_or_default(),
            },
            Err(_) if nanos < 0 => Self {
                secs: i64::MIN,
                nanos: 0,
            },
            Err(_) => Self {
                secs: i64::MAX,
                nanos: NANOS_PER_SEC - 1,
            },
        }
    }

    /// Nanoseconds since 1970-01-01 UTC.
    #[must_use]
    pub fn unix_nanos(self) -> i128 {
        i128::from(self.secs) * NANOS_PER_SEC_I128 + i128::from(self.nanos)
    }

    /// Whether this is [`ZERO`](Self::ZERO).
    #[must_use]
    pub fn is_zero(self) -> bool {
        self == Self::ZERO
    }

    /// How many nanoseconds this is later than `other`; negative where it is earlier.
    #[must_use]
    pub fn nanos_since(self, other: Self) -> i128 {
        self.unix_nanos() - other.unix_nanos()
    }

    /// How far this is from `other`, whichever is later.
    #[must_use]
    pub fn abs_diff(self, other: Self) -> Duration {
        let nanos = self.nanos_since(other).unsigned_abs();
        let per_sec = NANOS_PER_SEC_I128.unsigned_abs();
        let secs = u64::try_from(nanos / per_sec).unwrap_or(u64::MAX);
        Duration::new(secs, u32::try_from(nanos % per_sec).unwrap_or_default())
    }

    /// The point `duration` later; the latest that travels, where none does.
    #[must_use]
    pub fn saturating_add(self, duration: Duration) -> Self {
        let nanos = i128::try_from(duration.as_nanos()).unwrap_or(i128::MAX);
        Self::from_unix_nanos(self.unix_nanos().saturating_add(nanos))
    }

    /// The same point as the system counts it, where it can.
    #[must_use]
    pub fn to_system_time(self) -> Option<SystemTime> {
        let whole = Duration::from_secs(self.secs.unsigned_abs());
        let base = if self.secs < 0 {
            UNIX_EPOCH.checked_sub(whole)
        } else {
            UNIX_EPOCH.checked_add(whole)
        };
        base?.checked_add(Duration::from_nanos(self.nanos.into()))
    }

    pub(super) fn read(reader: &mut Reader<'_>, field: Field) -> Result<Self, DecodeError> {
        let offset = reader.position();
        match reader.ext(field)? {
            (WRITTEN_TYPE, bytes) => Self::from_written(bytes),
            (STANDARD_TYPE, bytes) => Self::from_standard(bytes),
            (found, _) => {
                return Err(DecodeError::WrongExtension {
                    field,
                    offset,
                    found,
                });
            }
        }
        .ok_or(DecodeError::InvalidTime { field, offset })
    }

    pub(super) fn write(self, out: &mut Vec<u8>) {
        out.extend_from_slice(&[rmp::Marker::Ext8.to_u8(), 12]);
        out.extend_from_slice(&WRITTEN_TYPE.to_be_bytes());
        out.extend_from_slice(&self.secs.to_be_bytes());
        out.extend_from_slice(&self.nanos.to_be_bytes());
    }

    /// Seconds, then nanoseconds, which some implementations write with a sign.
    fn from_written(bytes: &[u8]) -> Option<Self> {
        let (secs, rest) = bytes.split_first_chunk::<8>()?;
        let nanos = i64::from(i32::from_be_bytes(rest.try_into().ok()?));
        let carry = nanos.div_euclid(NANOS_PER_SEC_I64);
        Some(Self {
            secs: i64::from_be_bytes(*secs).checked_add(carry)?,
            nanos: u32::try_from(nanos.rem_euclid(NANOS_PER_SEC_I64)).ok()?,
        })
    }

    /// Seconds; or 30 bits of nanoseconds and 34 of seconds; or nanoseconds, then seconds.
    fn from_standard(bytes: &[u8]) -> Option<Self> {
        let (secs, nanos) = match bytes.len() {
            4 => (i64::from(u32::from_be_bytes(bytes.try_into().ok()?)), 0),
            8 => {
                let packed = u64::from_be_bytes(bytes.try_into().ok()?);
                let secs = i64::try_from(packed & 0x3_ffff_ffff).ok()?;
                (secs, u32::try_from(packed >> 34).ok()?)
            }
            _ => {
                let (nanos, secs) = bytes.split_first_chunk::<4>()?;
                let secs = i64::from_be_bytes(secs.try_into().ok()?);
                (secs, u32::from_be_bytes(*nanos))
            }
        };
        (nanos < NANOS_PER_SEC).then_some(Self { secs, nanos })
    }
}

/// [`Timestamp::ZERO`].
impl Default for Timestamp {
    fn default() -> Self {
        Self::ZERO
    }
}

impl From<SystemTime> for Timestamp {
    fn from(time: SystemTime) -> Self {
        let nanos = match time.duration_since(UNIX_EPOCH) {
            Ok(after) => i128::try_from(after.as_nanos()).unwrap_or(i128::MAX),
            Err(before) => -i128::try_from(before.duration().as_nanos()).unwrap_or(i128::MAX),
        };
        Self::from_unix_nanos(nanos)
    }
}
