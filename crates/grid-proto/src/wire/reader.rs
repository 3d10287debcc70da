//! Reading msgpack values from a slice, with the reason and place of what doesn't fit.

use bytes::Bytes;
use rmp::Marker;

use super::error::{DecodeError, Field, Kind};
use super::text::Text;

/// A position in bytes. Every length is checked against what is there before anything is done with it.
#[derive(Clone)]
pub(crate) struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    pub(crate) const fn position(&self) -> usize {
        self.at
    }

    /// What has not been read yet.
    pub(crate) fn rest(&self) -> &'a [u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }

    /// An unsigned integer in any form, or a signed one that isn't negative.
    #[inline]
    pub(crate) fn u64(&mut self, field: Field) -> Result<u64, DecodeError> {
        if let Some(&byte @ 0..=0x7f) = self.bytes.get(self.at) {
            self.at += 1;
            return Ok(u64::from(byte));
        }
        self.wide_uint(field)
    }

    #[inline]
    pub(crate) fn u32(&mut self, field: Field) -> Result<u32, DecodeError> {
        let offset = self.at;
        u32::try_from(self.u64(field)?).map_err(|_| DecodeError::OutOfRange { field, offset })
    }

    #[inline]
    pub(crate) fn u8(&mut self, field: Field) -> Result<u8, DecodeError> {
        let offset = self.at;
        u8::try_from(self.u64(field)?).map_err(|_| DecodeError::OutOfRange { field, offset })
    }

    pub(crate) fn bool(&mut self, field: Field) -> Result<bool, DecodeError> {
        let offset = self.at;
        match self.marker(field)? {
            Marker::True => Ok(true),
            Marker::False => Ok(false),
            other => Err(wrong_type(field, offset, other, Kind::Bool)),
        }
    }

    #[inline]
    pub(crate) fn bin(&mut self, field: Field) -> Result<&'a [u8], DecodeError> {
        let offset = self.at;
        let len = match self.marker(field)? {
            Marker::Bin8 => u32::from(u8::from_be_bytes(self.array(field, offset)?)),
            Marker::Bin16 => u32::from(u16::from_be_bytes(self.array(field, offset)?)),
            Marker::Bin32 => u32::from_be_bytes(self.array(field, offset)?),
            other => return Err(wrong_type(field, offset, other, Kind::Bin)),
        };
        self.take(field, offset, len)
    }

    pub(crate) fn str(&mut self, field: Field) -> Result<&'a [u8], DecodeError> {
        let offset = self.at;
        let len = match self.marker(field)? {
            Marker::FixStr(len) => u32::from(len),
            Marker::Str8 => u32::from(u8::from_be_bytes(self.array(field, offset)?)),
            Marker::Str16 => u32::from(u16::from_be_bytes(self.array(field, offset)?)),
            Marker::Str32 => u32::from_be_bytes(self.array(field, offset)?),
            other => return Err(wrong_type(field, offset, other, Kind::Str)),
        };
        self.take(field, offset, len)
    }

    /// A str, as a slice of `source`, which must be the bytes that this reader reads.
    pub(crate) fn text(&mut self, source: &Bytes, field: Field) -> Result<Text, DecodeError> {
        Ok(Text::from(source.slice_ref(self.str(field)?)))
    }

    /// A key of a map. Other nodes take a bin for one as well.
    pub(crate) fn key(&mut self) -> Result<&'a [u8], DecodeError> {
        match self.peek() {
            Some(Marker::Bin8 | Marker::Bin16 | Marker::Bin32) => self.bin(Field::Key),
            _ => self.str(Field::Key),
        }
    }

    pub(crate) fn array_len(&mut self, field: Field) -> Result<u32, DecodeError> {
        let offset = self.at;
        match self.marker(field)? {
            Marker::FixArray(len) => Ok(u32::from(len)),
            Marker::Array16 => Ok(u32::from(u16::from_be_bytes(self.array(field, offset)?))),
            Marker::Array32 => Ok(u32::from_be_bytes(self.array(field, offset)?)),
            other => Err(wrong_type(field, offset, other, Kind::Array)),
        }
    }

    pub(crate) fn map_len(&mut self, field: Field) -> Result<u32, DecodeError> {
        let offset = self.at;
        match self.marker(field)? {
            Marker::FixMap(len) => Ok(u32::from(len)),
            Marker::Map16 => Ok(u32::from(u16::from_be_bytes(self.array(field, offset)?))),
            Marker::Map32 => Ok(u32::from_be_bytes(self.array(field, offset)?)),
            other => Err(wrong_type(field, offset, other, Kind::Map)),
        }
    }

    /// An extension: its type and its bytes.
    pub(crate) fn ext(&mut self, field: Field) -> Result<(i8, &'a [u8]), DecodeError> {
        let offset = self.at;
        let len = match self.marker(field)? {
            Marker::FixExt1 => 1,
            Marker::FixExt2 => 2,
            Marker::FixExt4 => 4,
            Marker::FixExt8 => 8,
            Marker::FixExt16 => 16,
            Marker::Ext8 => u32::from(u8::from_be_bytes(self.array(field, offset)?)),
            Marker::Ext16 => u32::from(u16::from_be_bytes(self.array(field, offset)?)),
            Marker::Ext32 => u32::from_be_bytes(self.array(field, offset)?),
            other => return Err(wrong_type(field, offset, other, Kind::Ext)),
        };
        let kind = i8::from_be_bytes(self.array(field, offset)?);
        Ok((kind, self.take(field, offset, len)?))
    }

    /// Reads a nil where one is next.
    pub(crate) fn nil(&mut self) -> bool {
        let is_nil = self.peek() == Some(Marker::Null);
        if is_nil {
            self.at += 1;
        }
        is_nil
    }

    /// Passes over one value of any type and depth.
    ///
    /// Counts the values still to come instead of recursing, so that depth costs nothing; as each takes a byte at least,
    /// a declared length costs no more than the bytes that are there.
    pub(crate) fn skip(&mut self, field: Field) -> Result<(), DecodeError> {
        let mut pending = 1_u64;
        while pending > 0 {
            pending -= 1;
            let offset = self.at;
            let Some(marker) = self.peek() else {
                return Err(DecodeError::Truncated { field, offset });
            };
            match Kind::from(marker) {
                Kind::Nil | Kind::Bool => self.at += 1,
                Kind::Integer | Kind::Float => self.skip_number(field, marker)?,
                Kind::Str => drop(self.str(field)?),
                Kind::Bin => drop(self.bin(field)?),
                Kind::Ext => drop(self.ext(field)?),
                Kind::Array => pending = pending.saturating_add(self.array_len(field)?.into()),
                Kind::Map => pending = pending.saturating_add(u64::from(self.map_len(field)?) * 2),
                Kind::Reserved => return Err(wrong_type(field, offset, marker, Kind::Nil)),
            }
        }
        Ok(())
    }

    fn skip_number(&mut self, field: Field, marker: Marker) -> Result<(), DecodeError> {
        let len = match marker {
            Marker::U8 | Marker::I8 => 2,
            Marker::U16 | Marker::I16 => 3,
            Marker::U32 | Marker::I32 | Marker::F32 => 5,
            Marker::U64 | Marker::I64 | Marker::F64 => 9,
            _ => 1,
        };
        self.take(field, self.at, len).map(drop)
    }

    fn wide_uint(&mut self, field: Field) -> Result<u64, DecodeError> {
        let offset = self.at;
        let signed = match self.marker(field)? {
            Marker::FixPos(value) => return Ok(u64::from(value)),
            Marker::U8 => return Ok(u64::from(u8::from_be_bytes(self.array(field, offset)?))),
            Marker::U16 => return Ok(u64::from(u16::from_be_bytes(self.array(field, offset)?))),
            Marker::U32 => return Ok(u64::from(u32::from_be_bytes(self.array(field, offset)?))),
            Marker::U64 => return Ok(u64::from_be_bytes(self.array(field, offset)?)),
            Marker::FixNeg(value) => i64::from(value),
            Marker::I8 => i64::from(i8::from_be_bytes(self.array(field, offset)?)),
            Marker::I16 => i64::from(i16::from_be_bytes(self.array(field, offset)?)),
            Marker::I32 => i64::from(i32::from_be_bytes(self.array(field, offset)?)),
            Marker::I64 => i64::from_be_bytes(self.array(field, offset)?),
            other => return Err(wrong_type(field, offset, other, Kind::Integer)),
        };
        u64::try_from(signed).map_err(|_| DecodeError::OutOfRange { field, offset })
    }

    #[inline]
    fn peek(&self) -> Option<Marker> {
        self.bytes.get(self.at).map(|byte| Marker::from_u8(*byte))
    }

    #[inline]
    fn marker(&mut self, field: Field) -> Result<Marker, DecodeError> {
        let marker = self.peek().ok_or(DecodeError::Truncated {
            field,
            offset: self.at,
        })?;
        self.at += 1;
        Ok(marker)
    }

    /// The next `N` bytes of a field that began at `offset`.
    #[inline]
    fn array<const N: usize>(
        &mut self,
        field: Field,
        offset: usize,
    ) -> Result<[u8; N], DecodeError> {
        let chunk = self
            .rest()
            .first_chunk::<N>()
            .ok_or(DecodeError::Truncated { field, offset })?;
        self.at += N;
        Ok(*chunk)
    }

    /// The next `len` bytes of a field that began at `offset`.
    #[inline]
    fn take(&mut self, field: Field, offset: usize, len: u32) -> Result<&'a [u8], DecodeError> {
        let taken = usize::try_from(len)
            .ok()
            .and_then(|len| self.rest().get(..len))
            .ok_or(DecodeError::Truncated { field, offset })?;
        self.at += taken.len();
        Ok(taken)
    }
}

#[cold]
fn wrong_type(field: Field, offset: usize, found: Marker, wanted: Kind) -> DecodeError {
    DecodeError::WrongType {
        field,
        offset,
        found: found.into(),
        wanted,
    }
}
