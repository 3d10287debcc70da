//! What a type reads, found out by having it read.

use std::{any::type_name, fmt};

use serde::de::{self, DeserializeOwned, Deserializer, Visitor};

use super::access::{Fields, First, Items, Time};
use crate::msgpack::EXTENSION;

/// Collections and options inside each other that are looked into; what is deeper, as of a tree, is left empty.
const DEPTH: usize = 6;

/// The length from which on nothing more is looked into: a type with many fields of its own kind has no end otherwise.
const LONGEST: usize = 16 << 10;

/// What a message looks like on the wire, as a text: `{name: str, sizes: [u64], parent: ?str}`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Shape(String);

impl Shape {
    /// What a type with a coding of its own says of itself.
    pub fn named(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Of a type that says nothing of what it reads.
    #[must_use]
    pub fn opaque<T>() -> Self {
        Self(format!("opaque {}", type_name::<T>()))
    }

    /// Of a serde type.
    #[must_use]
    pub fn of<T: DeserializeOwned>() -> Self {
        let mut text = String::new();
        let read = T::deserialize(Tracer {
            text: &mut text,
            levels_left: DEPTH,
        });
        match read {
            Ok(_) => Self(text),
            Err(_) => Self::opaque::<T>(),
        }
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The type does not take what it is given.
#[derive(Debug)]
pub(super) struct Refused;

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("refused")
    }
}

impl std::error::Error for Refused {}

impl de::Error for Refused {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self
    }
}

/// Gives a value of whatever kind is asked for, and notes the kind.
pub(super) struct Tracer<'t> {
    text: &'t mut String,
    levels_left: usize,
}

impl Tracer<'_> {
    pub(super) fn note(&mut self, text: &str) {
        self.text.push_str(text);
    }

    /// Whether what is inside is looked into.
    fn may_go_on(&self) -> bool {
        self.levels_left > 0 && self.text.len() < LONGEST
    }

    /// Within what it is, where that can't go on for ever.
    pub(super) fn part(&mut self) -> Tracer<'_> {
        Tracer {
            levels_left: self.levels_left,
            text: self.text,
        }
    }

    /// One level down, for what is not empty: where it is too deep collections are.
    pub(super) fn below(&mut self) -> Tracer<'_> {
        Tracer {
            levels_left: self.levels_left.saturating_sub(1),
            text: self.text,
        }
    }

    /// One level down; none where that is too deep.
    fn inner(&mut self) -> Option<Tracer<'_>> {
        let left = self.levels_left.checked_sub(1)?;
        self.may_go_on().then_some(Tracer {
            levels_left: left,
            text: self.text,
        })
    }
}

macro_rules! plain {
    ($($method:ident $visit:ident ($($value:expr)?), $name:literal;)*) => {$(
        fn $method<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Refused> {
            self.note($name);
            visitor.$visit($($value)?)
        }
    )*};
}

impl<'de> Deserializer<'de> for Tracer<'_> {
    type Error = Refused;

    plain! {
        deserialize_any visit_unit (), "any";
        deserialize_ignored_any visit_unit (), "any";
        deserialize_bool visit_bool (false), "bool";
        deserialize_i8 visit_i8 (1), "i8";
        deserialize_i16 visit_i16 (1), "i16";
        deserialize_i32 visit_i32 (1), "i32";
        deserialize_i64 visit_i64 (1), "i64";
        deserialize_u8 visit_u8 (1), "u8";
        deserialize_u16 visit_u16 (1), "u16";
        deserialize_u32 visit_u32 (1), "u32";
        deserialize_u64 visit_u64 (1), "u64";
        deserialize_f32 visit_f32 (1.0), "f32";
        deserialize_f64 visit_f64 (1.0), "f64";
        deserialize_char visit_char ('a'), "char";
        deserialize_str visit_borrowed_str (""), "str";
        deserialize_string visit_borrowed_str (""), "str";
        deserialize_identifier visit_borrowed_str (""), "str";
        deserialize_bytes visit_borrowed_bytes (&[]), "bin";
        deserialize_byte_buf visit_borrowed_bytes (&[]), "bin";
        deserialize_unit visit_unit (), "nil";
    }

    fn deserialize_option<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Refused> {
        self.note("?");
        match self.inner() {
            Some(inner) => visitor.visit_some(inner),
            None => {
                self.note("...");
                visitor.visit_none()
            }
        }
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Refused> {
        self.deserialize_unit(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        mut self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Refused> {
        if name != EXTENSION {
            return visitor.visit_newtype_struct(self);
        }
        // A time, which is all that there is of these here.
        self.note("ext");
        visitor.visit_newtype_struct(de::value::SeqAccessDeserializer::new(Time(0)))
    }

    fn deserialize_seq<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Refused> {
        self.note("[");
        let items = Items {
            left: usize::from(self.may_go_on()),
            separator: "",
            tracer: &mut self,
        };
        let value = visitor.visit_seq(items)?;
        self.note("]");
        Ok(value)
    }

    fn deserialize_tuple<V: Visitor<'de>>(
        mut self,
        len: usize,
        visitor: V,
    ) -> Result<V::Value, Refused> {
        self.note("(");
        let items = Items {
            left: len,
            separator: "",
            tracer: &mut self,
        };
        let value = visitor.visit_seq(items)?;
        self.note(")");
        Ok(value)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        len: usize,
        visitor: V,
    ) -> Result<V::Value, Refused> {
        self.deserialize_tuple(len, visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Refused> {
        self.note("map<");
        let items = Items {
            left: usize::from(self.may_go_on()),
            separator: "",
            tracer: &mut self,
        };
        let value = visitor.visit_map(items)?;
        self.note(">");
        Ok(value)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        mut self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Refused> {
        self.note("{");
        let fields = Fields {
            left: fields,
            separator: "",
            tracer: &mut self,
        };
        let value = visitor.visit_map(fields)?;
        self.note("}");
        Ok(value)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        mut self,
        _: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Refused> {
        let (first, others) = variants.split_first().ok_or(Refused)?;
        self.note("enum(");
        self.note(first);
        // One whose first variant holds itself has no end.
        let mut inner = self.inner().ok_or(Refused)?;
        let value = visitor.visit_enum(First {
            name: first,
            tracer: &mut inner,
        })?;
        for other in others {
            self.note(" | ");
            self.note(other);
        }
        self.note(")");
        Ok(value)
    }

    fn is_human_readable(&self) -> bool {
        false
    }
}
