//! What stands inside the values that a type is given.

use serde::de::{
    self, DeserializeSeed, Deserializer, EnumAccess, IntoDeserializer, MapAccess, SeqAccess,
    VariantAccess, Visitor, value::StrDeserializer,
};

use super::{
    shape::{Refused, Tracer},
    tree::Kind,
};

/// The elements of an array or tuple, or the pair of a map.
pub(super) struct Items<'a, 't> {
    at: usize,
    left: usize,
    tracer: &'a mut Tracer<'t>,
}

impl<'a, 't> Items<'a, 't> {
    /// So many elements, or pairs.
    pub(super) fn new(left: usize, tracer: &'a mut Tracer<'t>) -> Self {
        Self {
            at: 0,
            left,
            tracer,
        }
    }

    fn next<'de, T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Refused> {
        let Some(left) = self.left.checked_sub(1) else {
            return Ok(None);
        };
        self.left = left;
        self.inside(seed).map(Some)
    }

    fn inside<'de, T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, Refused> {
        let at = self.at;
        self.at += 1;
        seed.deserialize(self.tracer.below(at)?)
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
        self.inside(seed)
    }
}

/// All fields of a struct.
pub(super) struct Fields<'a, 't> {
    at: usize,
    names: &'static [&'static str],
    tracer: &'a mut Tracer<'t>,
}

impl<'a, 't> Fields<'a, 't> {
    pub(super) fn new(names: &'static [&'static str], tracer: &'a mut Tracer<'t>) -> Self {
        Self {
            at: 0,
            names,
            tracer,
        }
    }
}

impl<'de> MapAccess<'de> for Fields<'_, '_> {
    type Error = Refused;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Refused> {
        let Some(name) = self.names.get(self.at) else {
            return Ok(None);
        };
        self.at += 1;
        let name: StrDeserializer<'_, Refused> = (*name).into_deserializer();
        seed.deserialize(name).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Refused> {
        let at = self.at.checked_sub(1).ok_or(Refused)?;
        seed.deserialize(self.tracer.part(at)?)
    }
}

/// One variant of an enum.
pub(super) struct Variant<'t> {
    pub(super) name: &'static str,
    pub(super) tracer: Tracer<'t>,
}

impl<'de> EnumAccess<'de> for Variant<'_> {
    type Error = Refused;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self), Refused> {
        let name: StrDeserializer<'_, Refused> = self.name.into_deserializer();
        Ok((seed.deserialize(name)?, self))
    }
}

impl<'de> VariantAccess<'de> for Variant<'_> {
    type Error = Refused;

    fn unit_variant(self) -> Result<(), Refused> {
        self.tracer.sees(Kind::Bare).map(|_| ())
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Refused> {
        seed.deserialize(self.tracer)
    }

    fn tuple_variant<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, Refused> {
        self.tracer.deserialize_tuple(len, visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Refused> {
        self.tracer.fields(fields, visitor)
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
