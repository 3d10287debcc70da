//! What stands before a payload, put together in one place and appended in one go.
//!
//! Each of its eight values has one to nine bytes. Appended one by one each would ask the buffer for room.

use super::writer::wire_len;

/// Two heads of a bin, the head of an array and six integers, the last of which may reach over the end while it is put.
const ROOM: usize = 64;

/// The bytes before a payload.
pub(super) struct Prefix {
    bytes: [u8; ROOM],
    len: usize,
}

impl Prefix {
    #[inline]
    pub(super) fn new() -> Self {
        Self {
            bytes: [0; ROOM],
            len: 0,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn as_slice(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }

    #[inline]
    pub(super) fn byte(&mut self, byte: u8) {
        if let Some(place) = self.bytes.get_mut(self.len) {
            *place = byte;
        }
        self.len += 1;
    }

    /// An integer in its smallest form.
    #[inline]
    pub(super) fn uint(&mut self, value: u64) {
        match value {
            0..=0x7f => self.byte(value as u8),
            0x80..=0xff => self.wide(rmp::Marker::U8, value << 56, 1),
            0x100..=0xffff => self.wide(rmp::Marker::U16, value << 48, 2),
            0x1_0000..=0xffff_ffff => self.wide(rmp::Marker::U32, value << 32, 4),
            _ => self.wide(rmp::Marker::U64, value, 8),
        }
    }

    /// The head of a bin of so many bytes.
    ///
    /// # Panics
    ///
    /// When these are 4 GiB or more.
    #[inline]
    pub(super) fn bin_head(&mut self, len: usize) {
        let value = u64::from(wire_len(len));
        match len {
            0..=0xff => self.wide(rmp::Marker::Bin8, value << 56, 1),
            0x100..=0xffff => self.wide(rmp::Marker::Bin16, value << 48, 2),
            _ => self.wide(rmp::Marker::Bin32, value << 32, 4),
        }
    }

    /// A marker, and the first `width` bytes of a value. All eight are put: what is too many is overwritten by what
    /// follows, or never appended.
    #[inline]
    fn wide(&mut self, marker: rmp::Marker, value: u64, width: usize) {
        let rest = self.bytes.get_mut(self.len..).unwrap_or_default();
        if let Some([first, tail @ ..]) = rest.first_chunk_mut::<9>() {
            *first = marker.to_u8();
            *tail = value.to_be_bytes();
        }
        self.len += 1 + width;
    }
}

#[cfg(test)]
mod tests {
    use super::super::writer::{put_bin_head, put_uint};
    use super::*;

    #[test]
    fn every_value_has_the_form_that_it_has_alone_and_the_longest_fit() {
        // Where a form ends the next begins.
        let edges = (0..64)
            .map(|bit| 1_u64 << bit)
            .flat_map(|edge| [edge - 1, edge]);
        for value in edges.chain([u64::MAX]) {
            let (mut prefix, mut plain) = (Prefix::new(), Vec::new());
            // More than any message has.
            for _ in 0..5 {
                prefix.uint(value);
                put_uint(&mut plain, value);
            }
            prefix.byte(7);
            plain.push(7);
            if let Ok(len) = u32::try_from(value) {
                prefix.bin_head(len as usize);
                put_bin_head(&mut plain, len as usize);
            }
            assert_eq!(prefix.as_slice(), plain, "{value}");
            assert_eq!(prefix.len(), plain.len());
        }
    }
}
