//! The serde deserializer.

use serde::de::value::SeqAccessDeserializer;
use serde::de::{self, Error as _, Expected, Unexpected, Visitor};
use serde::forward_to_deserialize_any;

use super::access::{Extension, Items, Variant, name};
use super::quick::Integer;
use super::reader::{Header, Reader};
use super::{EXTENSION, MAX_DEPTH};
use crate::DecodeError;

pub(super) struct Deserializer<'de> {
    reader: Reader<'de>,
    levels_left: usize,
    /// A map's key comes next, and may be a bin where a str is asked for.
    pub(super) at_key: bool,
}

impl<'de> Deserializer<'de> {
    pub(super) fn new(input: &'de [u8]) -> Self {
        Self {
            reader: Reader::new(input),
            levels_left: MAX_DEPTH,
            at_key: false,
        }
    }

    pub(super) fn rest(&self) -> &'de [u8] {
        self.reader.rest()
    }

    pub(super) fn offset(&self) -> usize {
        self.reader.offset()
    }

    pub(super) fn header(&mut self) -> Result<Header, DecodeError> {
        self.at_key = false;
        self.reader.header()
    }

    /// Reads the name of one of these fields if one comes next, which are left without it and those before it.
    #[inline]
    pub(super) fn field(&mut self, fields: &mut &'static [&'static str]) -> Option<&'static str> {
        self.reader.field(fields)
    }

    /// The bytes of a str, or of a bin if that is a map's key.
    #[inline]
    fn str_bytes(&mut self, expected: &dyn Expected) -> Result<&'de [u8], DecodeError> {
        if let Some(text) = self.reader.short_str() {
            self.at_key = false;
            return Ok(text);
        }
        self.longer_str(expected)
    }

    fn longer_str(&mut self, expected: &dyn Expected) -> Result<&'de [u8], DecodeError> {
        let at_key = self.at_key;
        match self.header()? {
            Header::Str(len) => self.reader.take(len),
            Header::Bin(len) if at_key => self.reader.take(len),
            other => Err(mismatch(other, expected)),
        }
    }

    fn visit_str<V: Visitor<'de>>(
        &mut self,
        bytes: &'de [u8],
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        match str::from_utf8(bytes) {
            Ok(text) => visitor.visit_borrowed_str(text),
            // Types that take bytes as well get a chance, and so does the name of a field that
            // nobody knows.
            Err(_) => visitor.visit_borrowed_bytes(bytes),
        }
    }

    fn visit_array<V: Visitor<'de>>(
        &mut self,
        len: u32,
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        self.nested(|de| {
            let mut items = Items::new(de, len, &[]);
            let value = visitor.visit_seq(&mut items)?;
            items.end().map(|()| value)
        })
    }

    #[inline]
    fn visit_map<V: Visitor<'de>>(
        &mut self,
        len: u32,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        self.nested(|de| {
            let mut items = Items::new(de, len, fields);
            let value = visitor.visit_map(&mut items)?;
            items.end().map(|()| value)
        })
    }

    fn visit_extension<V: Visitor<'de>>(
        &mut self,
        kind: i8,
        len: u32,
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        let bytes = self.reader.take(len)?;
        visitor.visit_newtype_struct(SeqAccessDeserializer::new(Extension {
            kind: Some(kind),
            bytes: Some(bytes),
        }))
    }

    #[inline]
    fn nested<T>(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<T, DecodeError>,
    ) -> Result<T, DecodeError> {
        let Some(left) = self.levels_left.checked_sub(1) else {
            return Err(DecodeError::TooDeep {
                offset: self.offset(),
            });
        };
        self.levels_left = left;
        let value = read(self);
        self.levels_left = left + 1;
        value
    }
}

/// What does not look like an integer is left to the visitor.
macro_rules! integers {
    ($($method:ident)*) => {$(
        #[inline]
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
            match self.reader.integer() {
                Some(Integer::Unsigned(value)) => visitor.visit_u64(value),
                Some(Integer::Signed(value)) => visitor.visit_i64(value),
                None => self.deserialize_any(visitor),
            }
        }
    )*};
}

impl<'de> de::Deserializer<'de> for &mut Deserializer<'de> {
    type Error = DecodeError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        match self.header()? {
            Header::Nil => visitor.visit_unit(),
            Header::Bool(value) => visitor.visit_bool(value),
            Header::Unsigned(value) => visitor.visit_u64(value),
            Header::Signed(value) => visitor.visit_i64(value),
            Header::F32(value) => visitor.visit_f32(value),
            Header::F64(value) => visitor.visit_f64(value),
            Header::Str(len) => {
                let bytes = self.reader.take(len)?;
                self.visit_str(bytes, visitor)
            }
            Header::Bin(len) => visitor.visit_borrowed_bytes(self.reader.take(len)?),
            Header::Array(len) => self.visit_array(len, visitor),
            Header::Map(len) => self.visit_map(len, &[], visitor),
            Header::Ext(kind, len) => self.visit_extension(kind, len, visitor),
        }
    }

    #[inline]
    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        match self.reader.bool() {
            Some(value) => visitor.visit_bool(value),
            None => self.deserialize_any(visitor),
        }
    }

    integers! {
        deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64
    }

    forward_to_deserialize_any! { f32 f64 unit unit_struct }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        let bytes = self.str_bytes(&visitor)?;
        self.visit_str(bytes, visitor)
    }

    #[inline]
    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        let bytes = self.str_bytes(&visitor)?;
        // A copy begins where whole words can be looked at, which a str among other values hardly ever does.
        match String::from_utf8(bytes.to_vec()) {
            Ok(text) => visitor.visit_string(text),
            Err(_) => visitor.visit_borrowed_bytes(bytes),
        }
    }

    fn deserialize_char<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        self.deserialize_str(visitor)
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        self.deserialize_str(visitor)
    }

    #[inline]
    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        self.at_key = false;
        if let Some(len) = self.reader.bin() {
            return visitor.visit_borrowed_bytes(self.reader.take(len)?);
        }
        let other = self.header()?;
        Err(mismatch(other, &visitor))
    }

    #[inline]
    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        self.deserialize_bytes(visitor)
    }

    #[inline]
    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        if self.reader.skip_nil() {
            visitor.visit_none()
        } else {
            visitor.visit_some(self)
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        if name != EXTENSION {
            return visitor.visit_newtype_struct(self);
        }
        match self.header()? {
            Header::Ext(kind, len) => self.visit_extension(kind, len, visitor),
            other => Err(mismatch(other, &visitor)),
        }
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        match self.header()? {
            Header::Array(len) => self.visit_array(len, visitor),
            other => Err(mismatch(other, &visitor)),
        }
    }

    fn deserialize_tuple<V: Visitor<'de>>(
        self,
        _len: usize,
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _len: usize,
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        self.deserialize_struct("", &[], visitor)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        if let Some(len) = self.reader.short_map() {
            self.at_key = false;
            return self.visit_map(len, fields, visitor);
        }
        match self.header()? {
            Header::Map(len) => self.visit_map(len, fields, visitor),
            other => Err(mismatch(other, &visitor)),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        let at_key = self.at_key;
        match self.header()? {
            Header::Map(1) => self.nested(|de| visitor.visit_enum(Variant { de })),
            Header::Str(len) => visitor.visit_enum(name(self.reader.take(len)?)?),
            Header::Bin(len) if at_key => visitor.visit_enum(name(self.reader.take(len)?)?),
            other => Err(mismatch(other, &visitor)),
        }
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        self.at_key = false;
        self.reader.skip()?;
        visitor.visit_unit()
    }

    fn is_human_readable(&self) -> bool {
        false
    }
}

#[cold]
pub(super) fn mismatch(found: Header, expected: &dyn Expected) -> DecodeError {
    let found = match found {
        Header::Nil => Unexpected::Unit,
        Header::Bool(value) => Unexpected::Bool(value),
        Header::Unsigned(value) => Unexpected::Unsigned(value),
        Header::Signed(value) => Unexpected::Signed(value),
        Header::F32(value) => Unexpected::Float(value.into()),
        Header::F64(value) => Unexpected::Float(value),
        Header::Str(_) => Unexpected::Str(""),
        Header::Bin(_) => Unexpected::Bytes(&[]),
        Header::Array(_) => Unexpected::Seq,
        Header::Map(_) => Unexpected::Map,
        Header::Ext(..) => Unexpected::NewtypeStruct,
    };
    DecodeError::invalid_type(found, expected)
}
