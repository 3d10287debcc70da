//! What all structures share: a msgpack map whose unknown keys are skipped.

use super::error::{DecodeError, Field};
use super::reader::Reader;
use super::writer::put_str;
use crate::InstanceId;

pub(super) const ID_LEN: usize = 16;

/// Reads the map that `bytes` begin with and gives every key to `take`, which reads the value and returns whether it knew
/// the key. Returns how many bytes the map has.
pub(super) fn read<'a>(
    bytes: &'a [u8],
    mut take: impl FnMut(&[u8], &mut Reader<'a>) -> Result<bool, DecodeError>,
) -> Result<usize, DecodeError> {
    let mut reader = Reader::new(bytes);
    for _ in 0..reader.map_len(Field::Structure)? {
        let key = reader.key()?;
        if !take(key, &mut reader)? {
            reader.skip(Field::Unknown)?;
        }
    }
    Ok(reader.position())
}

pub(super) fn read_id(reader: &mut Reader<'_>) -> Result<InstanceId, DecodeError> {
    let offset = reader.position();
    let bytes = reader.bin(Field::Id)?;
    <[u8; ID_LEN]>::try_from(bytes)
        .map(InstanceId::new)
        .map_err(|_| DecodeError::WrongLength {
            field: Field::Id,
            offset,
            found: u32::try_from(bytes.len()).unwrap_or(u32::MAX),
            wanted: 16,
        })
}

pub(super) fn put_key(out: &mut Vec<u8>, key: &str) {
    put_str(out, key.as_bytes());
}

/// The length of a key, which is below 32 bytes in every structure.
pub(super) const fn key_len(key: &str) -> usize {
    1 + key.len()
}
