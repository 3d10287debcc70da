//! The checksum behind a message.

use twox_hash::XxHash3_64;

/// The checksum of `bytes`: the low 32 bits of their 64-bit xxh3 with seed 0 (protocol section 3).
#[must_use]
pub fn checksum(bytes: &[u8]) -> u32 {
    XxHash3_64::oneshot(bytes) as u32
}
