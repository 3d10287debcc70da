//! The checksum behind a message.

use xxhash_rust::xxh3::xxh3_64;

/// The checksum of `bytes`: the low 32 bits of their 64-bit xxh3 with seed 0 (protocol section 3).
#[must_use]
pub fn checksum(bytes: &[u8]) -> u32 {
    xxh3_64(bytes) as u32
}
