//! What stands inside the values that a type is given.

use serde::de::{
    self, DeserializeSeed, Deserializer, EnumAccess, IntoDeserializer, MapAccess, SeqAccess,
    VariantAccess, Visitor, value::StrDeserializer,
};

use super::shape::{Refused, Tracer};

/// The elements of an array or tuple, or the pair of a map.
pub(super) struct Items<'a, 't> {
    pub(super) left: usize,
    pub(super) separator: &'static str,
    pub(super) tracer: &'a mut Tracer<'t>,
}

impl Items<'_, '_> {
    fn next<'de, T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Refused> {
        let Some(left) = self.left.checked_sub(1) else {
            return Ok(None);
        };
        self.left = left;
        self.tracer.note(self.separator);
        self.separator = ", ";
        seed.deserialize(self.tracer.below()).map(Some)
    }
}

impl<'de> SeqAccess<'de> for Items<'_, '_> {
    type Error = Refused;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Refused> {
        self.next(seed)
    }
}

impl<'de> MapAccess<'de> for Items<'_, '_> {
    type Error = Refused;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Refused> {
        self.next(seed)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Refused> {
        self.tracer.note(": ");
        seed.deserialize(self.tracer.below())
    }
}

/// All fields of a struct.
pub(super) struct Fields<'a, 't> {
    pub(super) left: &'static [&'static str],
    pub(super) separator: &'static str,
    pub(super) tracer: &'a mut Tracer<'t>,
}

impl<'de> MapAccess<'de> for Fields<'_, '_> {
    type Error = Refused;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Refused> {
        let Some((name, left)) = self.left.split_first() else {
            return Ok(None);
        };
        self.left = left;
        self.tracer.note(self.separator);
        self.separator = ", ";
        self.tracer.note(name);
        self.tracer.note(": ");
        let name: StrDeserializer<'_, Refused> = (*name).into_deserializer();
        seed.deserialize(name).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Refused> {
        seed.deserialize(self.tracer.part())
    }
}

/// The first variant of an enum.
pub(super) struct First<'a, 't> {
    pub(super) name: &'static str,
    pub(super) tracer: &'a mut Tracer<'t>,
}

impl<'de> EnumAccess<'de> for First<'_, '_> {
    type Error = Refused;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self), Refused> {
        let name: StrDeserializer<'_, Refused> = self.name.into_deserializer();
        Ok((seed.deserialize(name)?, self))
    }
}

impl<'de> VariantAccess<'de> for First<'_, '_> {
    type Error = Refused;

    fn unit_variant(self) -> Result<(), Refused> {
        Ok(())
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Refused> {
        self.tracer.note(": ");
        seed.deserialize(self.tracer.part())
    }

    fn tuple_variant<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, Refused> {
        self.tracer.note(": ");
        self.tracer.part().deserialize_tuple(len, visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Refused> {
        self.tracer.note(": ");
        self.tracer.part().deserialize_struct("", fields, visitor)
    }
}

/// The type and bytes of an extension that is a time.
pub(super) struct Time(pub(super) usize);

impl<'de> SeqAccess<'de> for Time {
    type Error = Refused;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Refused> {
        self.0 += 1;
        match self.0 {
            1 => seed.deserialize(5_i8.into_deserializer()).map(Some),
            2 => {
                let bytes: de::value::BorrowedBytesDeserializer<'_, Refused> =
                    de::value::BorrowedBytesDeserializer::new(&[0; 12]);
                seed.deserialize(bytes).map(Some)
            }
            _ => Ok(None),
        }
    }
}
