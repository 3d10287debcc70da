//! msgpack tokens to a buffer, each in its shortest form.

use rmp::Marker;

/// Bytes of a marker and the largest number.
const LONGEST: usize = 9;

/// A marker and what stands behind it, with one look at whether there is room for both.
#[inline]
fn marked<const N: usize>(out: &mut Vec<u8>, marker: Marker, rest: [u8; N]) {
    const { assert!(N < LONGEST) };
    let mut token = [0; LONGEST];
    token[0] = marker.to_u8();
    token[1..=N].copy_from_slice(&rest);
    out.extend_from_slice(&token[..=N]);
}

#[inline]
pub(super) fn marker(out: &mut Vec<u8>, marker: Marker) {
    out.push(marker.to_u8());
}

#[inline]
pub(super) fn signed(out: &mut Vec<u8>, value: i64) {
    if (-32..128).contains(&value) {
        // Either is the byte that it fits into.
        out.push(value as u8);
    } else if let Ok(value) = i8::try_from(value) {
        marked(out, Marker::I8, value.to_be_bytes());
    } else if let Ok(value) = i16::try_from(value) {
        marked(out, Marker::I16, value.to_be_bytes());
    } else if let Ok(value) = i32::try_from(value) {
        marked(out, Marker::I32, value.to_be_bytes());
    } else {
        marked(out, Marker::I64, value.to_be_bytes());
    }
}

#[inline]
pub(super) fn unsigned(out: &mut Vec<u8>, value: u64) {
    if value < 128 {
        out.push(value as u8);
    } else if let Ok(value) = u8::try_from(value) {
        marked(out, Marker::U8, value.to_be_bytes());
    } else if let Ok(value) = u16::try_from(value) {
        marked(out, Marker::U16, value.to_be_bytes());
    } else if let Ok(value) = u32::try_from(value) {
        marked(out, Marker::U32, value.to_be_bytes());
    } else {
        marked(out, Marker::U64, value.to_be_bytes());
    }
}

pub(super) fn f32(out: &mut Vec<u8>, value: f32) {
    marked(out, Marker::F32, value.to_be_bytes());
}

pub(super) fn f64(out: &mut Vec<u8>, value: f64) {
    marked(out, Marker::F64, value.to_be_bytes());
}

/// What stands before so many bytes of text.
#[inline]
pub(super) fn str_len(out: &mut Vec<u8>, len: u32) {
    match len {
        0..32 => marker(out, Marker::FixStr(len as u8)),
        _ => match u8::try_from(len) {
            Ok(len) => marked(out, Marker::Str8, [len]),
            Err(_) => len16(out, len, Marker::Str16, Marker::Str32),
        },
    }
}

/// What stands before so many bytes.
#[inline]
pub(super) fn bin_len(out: &mut Vec<u8>, len: u32) {
    match u8::try_from(len) {
        Ok(len) => marked(out, Marker::Bin8, [len]),
        Err(_) => len16(out, len, Marker::Bin16, Marker::Bin32),
    }
}

#[inline]
pub(super) fn array_len(out: &mut Vec<u8>, len: u32) {
    match len {
        0..16 => marker(out, Marker::FixArray(len as u8)),
        _ => len16(out, len, Marker::Array16, Marker::Array32),
    }
}

#[inline]
pub(super) fn map_len(out: &mut Vec<u8>, len: u32) {
    match len {
        0..16 => marker(out, Marker::FixMap(len as u8)),
        _ => len16(out, len, Marker::Map16, Marker::Map32),
    }
}

/// The kind of an extension and what stands before so many bytes of it.
pub(super) fn ext(out: &mut Vec<u8>, kind: i8, len: u32) {
    match len {
        1 => marker(out, Marker::FixExt1),
        2 => marker(out, Marker::FixExt2),
        4 => marker(out, Marker::FixExt4),
        8 => marker(out, Marker::FixExt8),
        16 => marker(out, Marker::FixExt16),
        _ => match u8::try_from(len) {
            Ok(len) => marked(out, Marker::Ext8, [len]),
            Err(_) => len16(out, len, Marker::Ext16, Marker::Ext32),
        },
    }
    out.push(kind as u8);
}

#[inline]
fn len16(out: &mut Vec<u8>, len: u32, two: Marker, four: Marker) {
    match u16::try_from(len) {
        Ok(len) => marked(out, two, len.to_be_bytes()),
        Err(_) => marked(out, four, len.to_be_bytes()),
    }
}

#[cfg(test)]
mod tests {
    use rmp::encode;

    use super::*;

    /// Values on either side of where another form begins.
    fn edges() -> impl Iterator<Item = u64> {
        let powers = (0..64).map(|bits| 1 << bits);
        powers.flat_map(|power: u64| [power - 1, power, power + 1])
    }

    fn written<T>(write: impl FnOnce(&mut Vec<u8>) -> T) -> Vec<u8> {
        // Behind something, without any room.
        let mut out = vec![7];
        write(&mut out);
        out
    }

    #[test]
    fn numbers_are_as_another_implementation_writes_them() {
        for value in edges().chain([u64::MAX]) {
            assert_eq!(
                written(|out| unsigned(out, value)),
                written(|out| encode::write_uint(out, value)),
                "{value}"
            );
            for value in [value.cast_signed(), value.cast_signed().wrapping_neg()] {
                let expected = match value {
                    0.. if value < 128 => written(|out| encode::write_uint(out, value as u64)),
                    // Positive numbers keep their sign.
                    128..32_768 => written(|out| encode::write_i16(out, value as i16)),
                    32_768..0x8000_0000 => written(|out| encode::write_i32(out, value as i32)),
                    0x8000_0000.. => written(|out| encode::write_i64(out, value)),
                    _ => written(|out| encode::write_sint(out, value)),
                };
                assert_eq!(written(|out| signed(out, value)), expected, "{value}");
            }
            let value = value as f64;
            assert_eq!(
                written(|out| f64(out, value)),
                written(|out| encode::write_f64(out, value)),
            );
            assert_eq!(
                written(|out| f32(out, value as f32)),
                written(|out| encode::write_f32(out, value as f32)),
            );
        }
    }

    #[test]
    fn lengths_are_as_another_implementation_writes_them() {
        for len in edges().filter_map(|len| u32::try_from(len).ok()) {
            assert_eq!(
                written(|out| str_len(out, len)),
                written(|out| encode::write_str_len(out, len)),
                "{len}"
            );
            assert_eq!(
                written(|out| bin_len(out, len)),
                written(|out| encode::write_bin_len(out, len)),
                "{len}"
            );
            assert_eq!(
                written(|out| array_len(out, len)),
                written(|out| encode::write_array_len(out, len)),
                "{len}"
            );
            assert_eq!(
                written(|out| map_len(out, len)),
                written(|out| encode::write_map_len(out, len)),
                "{len}"
            );
            assert_eq!(
                written(|out| ext(out, -3, len)),
                written(|out| encode::write_ext_meta(out, len, -3)),
                "{len}"
            );
        }
    }
}
