//! msgpack tokens from a slice.

use rmp::Marker;

use crate::DecodeError;

/// What a value begins with. Lengths count bytes, elements or pairs.
#[derive(Clone, Copy, Debug)]
pub(super) enum Header {
    Nil,
    Bool(bool),
    Unsigned(u64),
    Signed(i64),
    F32(f32),
    F64(f64),
    Str(u32),
    Bin(u32),
    Array(u32),
    Map(u32),
    Ext(i8, u32),
}

#[derive(Clone, Debug)]
pub(super) struct Reader<'de> {
    pub(super) rest: &'de [u8],
    len: usize,
}

impl<'de> Reader<'de> {
    pub(super) fn new(input: &'de [u8]) -> Self {
        Self {
            rest: input,
            len: input.len(),
        }
    }

    /// Reads one header. The length of an array or map is within what the rest could hold, at a
    /// byte an element.
    pub(super) fn header(&mut self) -> Result<Header, DecodeError> {
        let [first] = self.array()?;
        let header = match Marker::from_u8(first) {
            Marker::Null => Header::Nil,
            Marker::True => Header::Bool(true),
            Marker::False => Header::Bool(false),
            Marker::FixPos(value) => Header::Unsigned(value.into()),
            Marker::U8 => Header::Unsigned(u8::from_be_bytes(self.array()?).into()),
            Marker::U16 => Header::Unsigned(u16::from_be_bytes(self.array()?).into()),
            Marker::U32 => Header::Unsigned(u32::from_be_bytes(self.array()?).into()),
            Marker::U64 => Header::Unsigned(u64::from_be_bytes(self.array()?)),
            Marker::FixNeg(value) => Header::Signed(value.into()),
            Marker::I8 => Header::Signed(i8::from_be_bytes(self.array()?).into()),
            Marker::I16 => Header::Signed(i16::from_be_bytes(self.array()?).into()),
            Marker::I32 => Header::Signed(i32::from_be_bytes(self.array()?).into()),
            Marker::I64 => Header::Signed(i64::from_be_bytes(self.array()?)),
            Marker::F32 => Header::F32(f32::from_be_bytes(self.array()?)),
            Marker::F64 => Header::F64(f64::from_be_bytes(self.array()?)),
            Marker::FixStr(len) => Header::Str(len.into()),
            Marker::Str8 => Header::Str(self.len8()?),
            Marker::Str16 => Header::Str(self.len16()?),
            Marker::Str32 => Header::Str(self.len32()?),
            Marker::Bin8 => Header::Bin(self.len8()?),
            Marker::Bin16 => Header::Bin(self.len16()?),
            Marker::Bin32 => Header::Bin(self.len32()?),
            Marker::FixArray(len) => Header::Array(len.into()),
            Marker::Array16 => Header::Array(self.len16()?),
            Marker::Array32 => Header::Array(self.len32()?),
            Marker::FixMap(len) => Header::Map(len.into()),
            Marker::Map16 => Header::Map(self.len16()?),
            Marker::Map32 => Header::Map(self.len32()?),
            Marker::FixExt1 => self.ext(1)?,
            Marker::FixExt2 => self.ext(2)?,
            Marker::FixExt4 => self.ext(4)?,
            Marker::FixExt8 => self.ext(8)?,
            Marker::FixExt16 => self.ext(16)?,
            Marker::Ext8 => self.len8().and_then(|len| self.ext(len))?,
            Marker::Ext16 => self.len16().and_then(|len| self.ext(len))?,
            Marker::Ext32 => self.len32().and_then(|len| self.ext(len))?,
            Marker::Reserved => {
                return Err(DecodeError::invalid(
                    "found the byte c1, which is no msgpack",
                ));
            }
        };
        let least = match header {
            Header::Array(len) => u64::from(len),
            Header::Map(len) => 2 * u64::from(len),
            _ => 0,
        };
        if least > self.remaining() as u64 {
            return Err(self.truncated());
        }
        Ok(header)
    }

    #[inline]
    pub(super) fn take(&mut self, len: u32) -> Result<&'de [u8], DecodeError> {
        let split = usize::try_from(len)
            .ok()
            .and_then(|len| self.rest.split_at_checked(len));
        let Some((head, rest)) = split else {
            return Err(self.truncated());
        };
        self.rest = rest;
        Ok(head)
    }

    /// Reads past one value and all that it holds, in one loop however deep it is.
    pub(super) fn skip(&mut self) -> Result<(), DecodeError> {
        let mut values = 1u64;
        while values > 0 {
            values -= 1;
            match self.header()? {
                Header::Str(len) | Header::Bin(len) | Header::Ext(_, len) => {
                    self.take(len)?;
                }
                Header::Array(len) => values += u64::from(len),
                Header::Map(len) => values += 2 * u64::from(len),
                _ => {}
            }
        }
        Ok(())
    }

    /// Reads a nil if one comes next.
    pub(super) fn skip_nil(&mut self) -> bool {
        let Some((&first, rest)) = self.rest.split_first() else {
            return false;
        };
        let nil = first == Marker::Null.to_u8();
        if nil {
            self.rest = rest;
        }
        nil
    }

    pub(super) fn rest(&self) -> &'de [u8] {
        self.rest
    }

    pub(super) fn remaining(&self) -> usize {
        self.rest.len()
    }

    pub(super) fn offset(&self) -> usize {
        self.len - self.rest.len()
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let Some((head, rest)) = self.rest.split_first_chunk() else {
            return Err(self.truncated());
        };
        self.rest = rest;
        Ok(*head)
    }

    fn len8(&mut self) -> Result<u32, DecodeError> {
        Ok(u8::from_be_bytes(self.array()?).into())
    }

    fn len16(&mut self) -> Result<u32, DecodeError> {
        Ok(u16::from_be_bytes(self.array()?).into())
    }

    fn len32(&mut self) -> Result<u32, DecodeError> {
        Ok(u32::from_be_bytes(self.array()?))
    }

    fn ext(&mut self, len: u32) -> Result<Header, DecodeError> {
        Ok(Header::Ext(i8::from_be_bytes(self.array()?), len))
    }

    #[cold]
    fn truncated(&self) -> DecodeError {
        DecodeError::Truncated {
            offset: self.offset(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn skips_whatever_is_well_formed() {
        let deep = [vec![0x91; 1_000_000], vec![0xc0, 7]].concat();
        let cases: [&[u8]; 8] = [
            &[0xc0, 7],
            &[0x82, 0xa1, b'a', 0x93, 1, 2, 3, 0xa1, b'b', 0x80, 7],
            &[0xc7, 2, 0xff, 1, 2, 7],
            &[0xd8, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7],
            &[0xc4, 1, 1, 7],
            &[0xcf, 1, 2, 3, 4, 5, 6, 7, 8, 7],
            &[
                0xdf, 0, 0, 0, 1, 0xcb, 0, 0, 0, 0, 0, 0, 0, 0, 0xdd, 0, 0, 0, 0, 7,
            ],
            &deep,
        ];
        for case in cases {
            let mut reader = Reader::new(case);
            reader.skip().expect("well formed");
            assert_eq!(reader.rest(), [7]);
            assert_eq!(reader.offset(), case.len() - 1);
            for end in 0..(case.len() - 1).min(64) {
                Reader::new(&case[..end]).skip().expect_err("truncated");
            }
        }
    }

    #[test]
    fn declared_lengths_are_not_believed() {
        for first in [0xddu8, 0xdf] {
            let error = Reader::new(&[first, 0xff, 0xff, 0xff, 0xff, 0xc0])
                .header()
                .expect_err("too long");
            assert!(matches!(error, DecodeError::Truncated { offset: 5 }));
        }
        Reader::new(&[0xc1]).header().expect_err("c1 is reserved");
        assert!(matches!(
            Reader::new(&[0x81, 0xc0]).header(),
            Err(DecodeError::Truncated { offset: 1 })
        ));
    }
}
