//! Tokens that are expected, each by a short look of its own: whatever else comes next, nothing is read, and
//! [`header`](Reader::header) says what it is.

use rmp::Marker;

use super::reader::Reader;

/// A number without a fraction, in the form in which it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Integer {
    Unsigned(u64),
    Signed(i64),
}

impl<'de> Reader<'de> {
    /// The bytes of a short str if one comes next, which is what most keys are; else nothing is read.
    #[inline]
    pub(super) fn short_str(&mut self) -> Option<&'de [u8]> {
        let (&first, rest) = self.rest.split_first()?;
        if first & 0xe0 != 0xa0 {
            return None;
        }
        let (text, rest) = rest.split_at_checked(usize::from(first & 0x1f))?;
        self.rest = rest;
        Some(text)
    }

    /// Reads one of these names if one comes next as a short str; they are left without it and those before it.
    #[inline]
    pub(super) fn field<'n>(&mut self, names: &mut &'n [&'n str]) -> Option<&'n str> {
        let (&name, later) = names.split_first()?;
        let (&first, rest) = self.rest.split_first()?;
        if usize::from(first ^ 0xa0) == name.len()
            && name.len() < 32
            && let Some((text, rest)) = rest.split_at_checked(name.len())
            && same(text, name.as_bytes())
        {
            self.rest = rest;
            *names = later;
            return Some(name);
        }
        self.later_field(names)
    }

    fn later_field<'n>(&mut self, names: &mut &'n [&'n str]) -> Option<&'n str> {
        let mut reader = self.clone();
        let text = reader.short_str()?;
        let at = names.iter().position(|name| name.as_bytes() == text)?;
        let (name, later) = names.get(at..)?.split_first()?;
        *self = reader;
        *names = later;
        Some(name)
    }

    /// The pairs of a small map if one comes next, within what the rest could hold; else nothing is read.
    #[inline]
    pub(super) fn short_map(&mut self) -> Option<u32> {
        let (&first, rest) = self.rest.split_first()?;
        let len = usize::from(first ^ 0x80);
        if len >= 16 || 2 * len > rest.len() {
            return None;
        }
        self.rest = rest;
        Some(len as u32)
    }

    /// A bool if one comes next; else nothing is read.
    #[inline]
    pub(super) fn bool(&mut self) -> Option<bool> {
        let (&first, rest) = self.rest.split_first()?;
        let value = match Marker::from_u8(first) {
            Marker::True => true,
            Marker::False => false,
            _ => return None,
        };
        self.rest = rest;
        Some(value)
    }

    /// An integer if a whole one comes next; else nothing is read.
    #[inline]
    pub(super) fn integer(&mut self) -> Option<Integer> {
        let (&first, rest) = self.rest.split_first()?;
        let (value, rest) = match Marker::from_u8(first) {
            Marker::FixPos(value) => (Integer::Unsigned(value.into()), rest),
            Marker::FixNeg(value) => (Integer::Signed(value.into()), rest),
            Marker::U8 => number(rest, |b| Integer::Unsigned(u8::from_be_bytes(b).into()))?,
            Marker::U16 => number(rest, |b| Integer::Unsigned(u16::from_be_bytes(b).into()))?,
            Marker::U32 => number(rest, |b| Integer::Unsigned(u32::from_be_bytes(b).into()))?,
            Marker::U64 => number(rest, |b| Integer::Unsigned(u64::from_be_bytes(b)))?,
            Marker::I8 => number(rest, |b| Integer::Signed(i8::from_be_bytes(b).into()))?,
            Marker::I16 => number(rest, |b| Integer::Signed(i16::from_be_bytes(b).into()))?,
            Marker::I32 => number(rest, |b| Integer::Signed(i32::from_be_bytes(b).into()))?,
            Marker::I64 => number(rest, |b| Integer::Signed(i64::from_be_bytes(b)))?,
            _ => return None,
        };
        self.rest = rest;
        Some(value)
    }

    /// The length of a bin if one comes next; else nothing is read.
    #[inline]
    pub(super) fn bin(&mut self) -> Option<u32> {
        let (&first, rest) = self.rest.split_first()?;
        let (len, rest) = match Marker::from_u8(first) {
            Marker::Bin8 => number(rest, |b| u8::from_be_bytes(b).into())?,
            Marker::Bin16 => number(rest, |b| u16::from_be_bytes(b).into())?,
            Marker::Bin32 => number(rest, u32::from_be_bytes)?,
            _ => return None,
        };
        self.rest = rest;
        Some(len)
    }
}

/// Whether two texts of the same length are the same; names are so short that a call to compare them takes longer.
#[inline]
fn same(one: &[u8], other: &[u8]) -> bool {
    match (ends(one), ends(other)) {
        (Some(one), Some(other)) => one == other,
        _ => one == other,
    }
}

/// The first and the last four bytes of a text that has no others.
#[inline]
fn ends(text: &[u8]) -> Option<(u32, u32)> {
    let first = u32::from_ne_bytes(*text.first_chunk()?);
    let last = u32::from_ne_bytes(*text.last_chunk()?);
    (text.len() <= 8).then_some((first, last))
}

/// What so many bytes at the front stand for, and the bytes behind them.
#[inline]
fn number<const N: usize, T>(bytes: &[u8], read: impl FnOnce([u8; N]) -> T) -> Option<(T, &[u8])> {
    let (head, rest) = bytes.split_first_chunk()?;
    Some((read(*head), rest))
}

#[cfg(test)]
mod tests {
    use super::super::reader::Header;
    use super::*;

    /// What was read, if anything was, and what is left.
    type Read<'a, T> = (Option<T>, &'a [u8]);

    fn quick<'a, T>(
        input: &'a [u8],
        read: impl FnOnce(&mut Reader<'a>) -> Option<T>,
    ) -> Read<'a, T> {
        let mut reader = Reader::new(input);
        let value = read(&mut reader);
        (value, reader.rest())
    }

    fn slow<T>(input: &[u8], pick: impl FnOnce(Header) -> Option<T>) -> Read<'_, T> {
        let mut reader = Reader::new(input);
        match reader.header().ok().and_then(pick) {
            Some(value) => (Some(value), reader.rest()),
            None => (None, input),
        }
    }

    #[test]
    fn a_short_look_sees_what_a_long_one_sees() {
        for first in 0..=u8::MAX {
            for len in 0..40 {
                let rest = (0..len).map(|at| 0x81_u8.wrapping_add(at * 3));
                let input: Vec<u8> = [first].into_iter().chain(rest).collect();
                let integer = quick(&input, Reader::integer);
                let expected = slow(&input, |header| match header {
                    Header::Unsigned(value) => Some(Integer::Unsigned(value)),
                    Header::Signed(value) => Some(Integer::Signed(value)),
                    _ => None,
                });
                assert_eq!(integer, expected, "{first:x} {len}");
                let expected = slow(&input, |header| match header {
                    Header::Bool(value) => Some(value),
                    _ => None,
                });
                assert_eq!(quick(&input, Reader::bool), expected, "{first:x} {len}");
                let expected = slow(&input, |header| match header {
                    Header::Bin(len) => Some(len),
                    _ => None,
                });
                assert_eq!(quick(&input, Reader::bin), expected, "{first:x} {len}");
                let expected = slow(&input, |header| match header {
                    Header::Map(len) if first < 0x90 => Some(len),
                    _ => None,
                });
                assert_eq!(
                    quick(&input, Reader::short_map),
                    expected,
                    "{first:x} {len}"
                );
            }
        }
        assert_eq!(quick(&[], Reader::integer), (None, &[][..]));
        assert_eq!(quick(&[], Reader::bool), (None, &[][..]));
        assert_eq!(quick(&[], Reader::bin), (None, &[][..]));
        assert_eq!(quick(&[], Reader::short_map), (None, &[][..]));
    }

    #[test]
    fn names_are_told_apart_at_each_byte() {
        for len in 0..40 {
            let name: String = ('a'..='z').cycle().take(len).collect();
            let names = [&*name, "last"];
            let first = 0xa0 | (len % 32) as u8;
            let input = [&[first], name.as_bytes(), &[7]].concat();
            let mut left = &names[..];
            let read = quick(&input, |reader| reader.field(&mut left));
            if len < 32 {
                assert_eq!((read, left), ((Some(&*name), &[7][..]), &["last"][..]));
            } else {
                assert_eq!((read, left), ((None, &input[..]), &names[..]));
            }
            for at in 0..=len {
                let mut other = input.clone();
                other[at] ^= 0x20;
                let read = quick(&other, |reader| reader.field(&mut left));
                assert_eq!(read, (None, &other[..]), "{len} {at}");
                let read = quick(&input[..at], |reader| reader.field(&mut left));
                assert_eq!(read, (None, &input[..at]), "{len} {at}");
            }
        }
    }

    #[test]
    fn fields_may_be_missing_and_come_in_any_order() {
        let all = ["one", "two", "three", "four"];
        let mut left = &all[..];
        let mut next = |text: &str| {
            let input = [&[0xa0 | text.len() as u8], text.as_bytes()].concat();
            let mut reader = Reader::new(&input);
            let name = reader.field(&mut left).map(str::to_owned);
            (name, left.len())
        };
        assert_eq!(next("two"), (Some("two".to_owned()), 2));
        assert_eq!(next("one"), (None, 2));
        assert_eq!(next("other"), (None, 2));
        assert_eq!(next("four"), (Some("four".to_owned()), 0));
        assert_eq!(next("three"), (None, 0));
    }
}
