//! Writing msgpack values, each in its smallest form, and the length that each will have.

use rmp::Marker;

#[inline]
pub(crate) fn put_uint(out: &mut Vec<u8>, value: u64) {
    let [_, _, _, _, b3, b2, b1, b0] = value.to_be_bytes();
    match value {
        0..=0x7f => out.push(b0),
        0x80..=0xff => out.extend_from_slice(&[Marker::U8.to_u8(), b0]),
        0x100..=0xffff => out.extend_from_slice(&[Marker::U16.to_u8(), b1, b0]),
        0x1_0000..=0xffff_ffff => out.extend_from_slice(&[Marker::U32.to_u8(), b3, b2, b1, b0]),
        _ => {
            out.push(Marker::U64.to_u8());
            out.extend_from_slice(&value.to_be_bytes());
        }
    }
}

pub(crate) const fn uint_len(value: u64) -> usize {
    match value {
        0..=0x7f => 1,
        0x80..=0xff => 2,
        0x100..=0xffff => 3,
        0x1_0000..=0xffff_ffff => 5,
        _ => 9,
    }
}

pub(crate) fn put_bin(out: &mut Vec<u8>, bytes: &[u8]) {
    put_bin_head(out, bytes.len());
    out.extend_from_slice(bytes);
}

pub(crate) fn put_bin_head(out: &mut Vec<u8>, len: usize) {
    let [b3, b2, b1, b0] = wire_len(len).to_be_bytes();
    match len {
        0..=0xff => out.extend_from_slice(&[Marker::Bin8.to_u8(), b0]),
        0x100..=0xffff => out.extend_from_slice(&[Marker::Bin16.to_u8(), b1, b0]),
        _ => out.extend_from_slice(&[Marker::Bin32.to_u8(), b3, b2, b1, b0]),
    }
}

/// The length of a bin that holds `len` bytes.
pub(crate) const fn bin_len(len: usize) -> usize {
    len + match len {
        0..=0xff => 2,
        0x100..=0xffff => 3,
        _ => 5,
    }
}

pub(crate) fn put_str(out: &mut Vec<u8>, text: &[u8]) {
    let [b3, b2, b1, b0] = wire_len(text.len()).to_be_bytes();
    match text.len() {
        0..=0x1f => out.push(Marker::FixStr(b0).to_u8()),
        0x20..=0xff => out.extend_from_slice(&[Marker::Str8.to_u8(), b0]),
        0x100..=0xffff => out.extend_from_slice(&[Marker::Str16.to_u8(), b1, b0]),
        _ => out.extend_from_slice(&[Marker::Str32.to_u8(), b3, b2, b1, b0]),
    }
    out.extend_from_slice(text);
}

/// The length of a str that holds `len` bytes.
pub(crate) const fn str_len(len: usize) -> usize {
    len + match len {
        0..=0x1f => 1,
        0x20..=0xff => 2,
        0x100..=0xffff => 3,
        _ => 5,
    }
}

/// The head of a map of at most 15 keys, which is more than any structure has.
pub(crate) fn put_small_map(out: &mut Vec<u8>, keys: u8) {
    out.push(Marker::FixMap(keys).to_u8());
}

pub(crate) fn put_bool(out: &mut Vec<u8>, value: bool) {
    let marker = if value { Marker::True } else { Marker::False };
    out.push(marker.to_u8());
}

pub(crate) fn put_nil(out: &mut Vec<u8>) {
    out.push(Marker::Null.to_u8());
}

pub(super) fn wire_len(len: usize) -> u32 {
    // tidy: expect: documented on every encoder; a sender checks the limit of a message, far below, first
    u32::try_from(len).expect("a value of 4 GiB or more has no form on the wire")
}
