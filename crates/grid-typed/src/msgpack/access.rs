//! What stands inside arrays, maps, extensions and variants.

use serde::de::value::{BorrowedBytesDeserializer, BorrowedStrDeserializer, I8Deserializer};
use serde::de::{self, DeserializeSeed, Visitor};
use serde::forward_to_deserialize_any;

use super::decode::{Deserializer, mismatch};
use super::reader::Header;
use crate::DecodeError;

/// Elements for which collections may reserve room ahead: a sequence of large elements, nested in
/// others, would otherwise reserve many times the size of its input.
const RESERVE: usize = 256;

/// The elements of an array, or the pairs of a map.
pub(super) struct Items<'a, 'de> {
    de: &'a mut Deserializer<'de>,
    left: u32,
    /// The names of a struct's fields that have not come yet, in their order.
    fields: &'static [&'static str],
}

impl<'a, 'de> Items<'a, 'de> {
    #[inline]
    pub(super) fn new(
        de: &'a mut Deserializer<'de>,
        len: u32,
        fields: &'static [&'static str],
    ) -> Self {
        Self {
            de,
            left: len,
            fields,
        }
    }

    #[inline]
    pub(super) fn end(self) -> Result<(), DecodeError> {
        match self.left {
            0 => Ok(()),
            left => Err(DecodeError::invalid(format_args!(
                "found {left} elements too many"
            ))),
        }
    }

    fn reserve(&self) -> Option<usize> {
        usize::try_from(self.left)
            .ok()
            .map(|left| left.min(RESERVE))
    }
}

impl<'de> de::SeqAccess<'de> for Items<'_, 'de> {
    type Error = DecodeError;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, DecodeError> {
        let Some(left) = self.left.checked_sub(1) else {
            return Ok(None);
        };
        self.left = left;
        seed.deserialize(&mut *self.de).map(Some)
    }

    fn size_hint(&self) -> Option<usize> {
        self.reserve()
    }
}

impl<'de> de::MapAccess<'de> for Items<'_, 'de> {
    type Error = DecodeError;

    #[inline]
    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, DecodeError> {
        let Some(left) = self.left.checked_sub(1) else {
            return Ok(None);
        };
        self.left = left;
        // Most come in the order in which the struct has them, and need no look at whether they are text.
        if let Some(name) = self.de.field(&mut self.fields) {
            return seed.deserialize(Name(name)).map(Some);
        }
        self.de.at_key = true;
        let key = seed.deserialize(&mut *self.de).map(Some);
        self.de.at_key = false;
        key
    }

    #[inline]
    fn next_value_seed<V: DeserializeSeed<'de>>(
        &mut self,
        seed: V,
    ) -> Result<V::Value, DecodeError> {
        seed.deserialize(&mut *self.de)
    }

    fn size_hint(&self) -> Option<usize> {
        self.reserve()
    }
}

/// The name of a struct's field, which has been read.
struct Name(&'static str);

impl<'de> de::Deserializer<'de> for Name {
    type Error = DecodeError;

    #[inline]
    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        visitor.visit_borrowed_str(self.0)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        visitor.visit_enum(BorrowedStrDeserializer::new(self.0))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple
        tuple_struct map struct identifier ignored_any
    }

    fn is_human_readable(&self) -> bool {
        false
    }
}

/// An extension, seen as the sequence of its type and its bytes.
pub(super) struct Extension<'de> {
    pub(super) kind: Option<i8>,
    pub(super) bytes: Option<&'de [u8]>,
}

impl<'de> de::SeqAccess<'de> for Extension<'de> {
    type Error = DecodeError;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, DecodeError> {
        if let Some(kind) = self.kind.take() {
            return seed.deserialize(I8Deserializer::new(kind)).map(Some);
        }
        let bytes = self.bytes.take();
        bytes
            .map(|bytes| seed.deserialize(BorrowedBytesDeserializer::new(bytes)))
            .transpose()
    }
}

/// A map of one pair: the variant's name and what it holds.
pub(super) struct Variant<'a, 'de> {
    pub(super) de: &'a mut Deserializer<'de>,
}

impl<'de> de::EnumAccess<'de> for Variant<'_, 'de> {
    type Error = DecodeError;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(
        self,
        seed: V,
    ) -> Result<(V::Value, Self), DecodeError> {
        self.de.at_key = true;
        let name = seed.deserialize(&mut *self.de);
        self.de.at_key = false;
        name.map(|name| (name, self))
    }
}

impl<'de> de::VariantAccess<'de> for Variant<'_, 'de> {
    type Error = DecodeError;

    fn unit_variant(self) -> Result<(), DecodeError> {
        match self.de.header()? {
            Header::Nil => Ok(()),
            other => Err(mismatch(other, &"nil")),
        }
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(
        self,
        seed: T,
    ) -> Result<T::Value, DecodeError> {
        seed.deserialize(self.de)
    }

    fn tuple_variant<V: Visitor<'de>>(
        self,
        _len: usize,
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        de::Deserializer::deserialize_seq(self.de, visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        de::Deserializer::deserialize_struct(self.de, "", fields, visitor)
    }
}

/// A unit variant's name.
pub(super) fn name(bytes: &[u8]) -> Result<BorrowedStrDeserializer<'_, DecodeError>, DecodeError> {
    let name = str::from_utf8(bytes)
        .map_err(|_| DecodeError::invalid("found a variant's name that is not UTF-8"))?;
    Ok(BorrowedStrDeserializer::new(name))
}
