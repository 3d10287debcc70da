//! The serde serializer.

use rmp::Marker;
use serde::ser::{self, Serialize};
use serde_bytes::ByteBuf;

use super::compound::{Compound, Shape};
use super::{EXTENSION, MAX_DEPTH, writer};
use crate::EncodeError;

pub(super) struct Serializer<'o> {
    pub(super) out: &'o mut Vec<u8>,
    pub(super) levels_left: usize,
    /// It writes the parts of an extension, among which there is no other one.
    in_extension: bool,
}

impl<'o> Serializer<'o> {
    #[inline]
    pub(super) fn new(out: &'o mut Vec<u8>) -> Self {
        Self {
            out,
            levels_left: MAX_DEPTH,
            in_extension: false,
        }
    }

    /// Opens an array or map.
    #[inline]
    fn open(&mut self, shape: Shape, len: Option<usize>) -> Result<Compound<'_, 'o>, EncodeError> {
        self.descend()?;
        Compound::open(self, shape, len, 1)
    }

    /// Writes what stands before the contents of a variant: a map of one pair, and its key.
    fn variant(&mut self, name: &str) -> Result<(), EncodeError> {
        self.descend()?;
        Shape::Map.write(self.out, 1);
        ser::Serializer::serialize_str(self, name)
    }

    #[inline]
    fn descend(&mut self) -> Result<(), EncodeError> {
        self.levels_left = self
            .levels_left
            .checked_sub(1)
            .ok_or(EncodeError::TooDeep)?;
        Ok(())
    }
}

impl<'s, 'o> ser::Serializer for &'s mut Serializer<'o> {
    type Ok = ();
    type Error = EncodeError;
    type SerializeSeq = Compound<'s, 'o>;
    type SerializeTuple = Compound<'s, 'o>;
    type SerializeTupleStruct = Compound<'s, 'o>;
    type SerializeTupleVariant = Compound<'s, 'o>;
    type SerializeMap = Compound<'s, 'o>;
    type SerializeStruct = Compound<'s, 'o>;
    type SerializeStructVariant = Compound<'s, 'o>;

    #[inline]
    fn serialize_bool(self, value: bool) -> Result<(), EncodeError> {
        let marker = if value { Marker::True } else { Marker::False };
        writer::marker(self.out, marker);
        Ok(())
    }

    fn serialize_i8(self, value: i8) -> Result<(), EncodeError> {
        writer::signed(self.out, value.into());
        Ok(())
    }

    fn serialize_i16(self, value: i16) -> Result<(), EncodeError> {
        writer::signed(self.out, value.into());
        Ok(())
    }

    fn serialize_i32(self, value: i32) -> Result<(), EncodeError> {
        writer::signed(self.out, value.into());
        Ok(())
    }

    #[inline]
    fn serialize_i64(self, value: i64) -> Result<(), EncodeError> {
        writer::signed(self.out, value);
        Ok(())
    }

    fn serialize_u8(self, value: u8) -> Result<(), EncodeError> {
        writer::unsigned(self.out, value.into());
        Ok(())
    }

    fn serialize_u16(self, value: u16) -> Result<(), EncodeError> {
        writer::unsigned(self.out, value.into());
        Ok(())
    }

    fn serialize_u32(self, value: u32) -> Result<(), EncodeError> {
        writer::unsigned(self.out, value.into());
        Ok(())
    }

    #[inline]
    fn serialize_u64(self, value: u64) -> Result<(), EncodeError> {
        writer::unsigned(self.out, value);
        Ok(())
    }

    fn serialize_f32(self, value: f32) -> Result<(), EncodeError> {
        writer::f32(self.out, value);
        Ok(())
    }

    fn serialize_f64(self, value: f64) -> Result<(), EncodeError> {
        writer::f64(self.out, value);
        Ok(())
    }

    fn serialize_char(self, value: char) -> Result<(), EncodeError> {
        self.serialize_str(value.encode_utf8(&mut [0; 4]))
    }

    #[inline]
    fn serialize_str(self, value: &str) -> Result<(), EncodeError> {
        writer::str_len(self.out, length(value.len())?);
        self.out.extend_from_slice(value.as_bytes());
        Ok(())
    }

    #[inline]
    fn serialize_bytes(self, value: &[u8]) -> Result<(), EncodeError> {
        writer::bin_len(self.out, length(value.len())?);
        self.out.extend_from_slice(value);
        Ok(())
    }

    fn serialize_none(self) -> Result<(), EncodeError> {
        self.serialize_unit()
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), EncodeError> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<(), EncodeError> {
        writer::marker(self.out, Marker::Null);
        Ok(())
    }

    fn serialize_unit_struct(self, _name: &'static str) -> Result<(), EncodeError> {
        self.serialize_unit()
    }

    fn serialize_unit_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
    ) -> Result<(), EncodeError> {
        self.serialize_str(variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        value: &T,
    ) -> Result<(), EncodeError> {
        if name != EXTENSION {
            return value.serialize(self);
        }
        // The value writes itself as the array of a number and bytes; read back, it gives the parts
        // of the extension.
        let mut pair = Vec::new();
        if self.in_extension {
            return Err(EncodeError::TooDeep);
        }
        value.serialize(&mut Serializer {
            out: &mut pair,
            // What is written in the end is no array: it is no deeper than a number would be.
            levels_left: 1,
            in_extension: true,
        })?;
        let (kind, bytes): (i8, ByteBuf) = super::from_slice(&pair)
            .map_err(|_| EncodeError::refused("an extension that isn't a type and bytes"))?;
        writer::ext(self.out, kind, length(bytes.len())?);
        self.out.extend_from_slice(&bytes);
        Ok(())
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<(), EncodeError> {
        self.variant(variant)?;
        value.serialize(&mut *self)?;
        self.levels_left += 1;
        Ok(())
    }

    fn serialize_seq(self, len: Option<usize>) -> Result<Compound<'s, 'o>, EncodeError> {
        self.open(Shape::Array, len)
    }

    fn serialize_tuple(self, len: usize) -> Result<Compound<'s, 'o>, EncodeError> {
        self.open(Shape::Array, Some(len))
    }

    fn serialize_tuple_struct(
        self,
        _name: &'static str,
        len: usize,
    ) -> Result<Compound<'s, 'o>, EncodeError> {
        self.open(Shape::Array, Some(len))
    }

    fn serialize_tuple_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        len: usize,
    ) -> Result<Compound<'s, 'o>, EncodeError> {
        self.variant(variant)?;
        self.descend()?;
        Compound::open(self, Shape::Array, Some(len), 2)
    }

    fn serialize_map(self, len: Option<usize>) -> Result<Compound<'s, 'o>, EncodeError> {
        self.open(Shape::Map, len)
    }

    #[inline]
    fn serialize_struct(
        self,
        _name: &'static str,
        len: usize,
    ) -> Result<Compound<'s, 'o>, EncodeError> {
        self.open(Shape::Map, Some(len))
    }

    fn serialize_struct_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        len: usize,
    ) -> Result<Compound<'s, 'o>, EncodeError> {
        self.variant(variant)?;
        self.descend()?;
        Compound::open(self, Shape::Map, Some(len), 2)
    }

    fn is_human_readable(&self) -> bool {
        false
    }
}

#[inline]
pub(super) fn length(len: usize) -> Result<u32, EncodeError> {
    u32::try_from(len).map_err(|_| EncodeError::TooLong)
}
