//! What a type reads, found out by having it read.

use std::{any::type_name, collections::BTreeMap, fmt};

use serde::de::{self, DeserializeOwned, Deserializer, Visitor};

use super::{
    access::{Fields, Items, Time, Variant},
    tree::{Kind, Node},
};
use crate::msgpack::EXTENSION;

/// Collections and options inside each other that are looked into; what is deeper is left empty.
const DEPTH: usize = 6;

/// How deep anything may be: what is in itself without a name of its own, or a collection between, has no end otherwise.
const DEEPEST: usize = 64;

/// The number of parts from which on no more collections and enums are looked into: types that hold each other by many
/// ways have too many otherwise.
const MANY: usize = 4 << 10;

/// The most parts that a type may have, beyond which it is known by its name: long arrays alone come near.
const MOST: usize = 4 * MANY;

/// How often a type is read at the most: once for each variant, and those of enums inside others for each of theirs.
const READINGS: usize = 4 << 10;

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
        let mut root = Node::new();
        let mut search = Search::default();
        let mut is_read = false;
        for _ in 0..READINGS {
            search.waits = false;
            let tracer = Tracer {
                node: &mut root,
                search: &mut search,
                levels_left: DEPTH,
                depth_left: DEEPEST,
                brief: false,
            };
            is_read |= T::deserialize(tracer).is_ok();
            if !root.is_open() {
                break;
            }
        }
        match is_read {
            true => Self(root.to_string()),
            false => Self::opaque::<T>(),
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

/// By which a type is known again inside itself: what visits it, whose name has its own and those of its parameters, and
/// its fields or variants.
type Identity = (&'static str, &'static [&'static str]);

/// What is known over all readings.
#[derive(Default)]
struct Search {
    parts: usize,
    /// The types that are being read, each inside the one before it.
    within: Vec<Identity>,
    /// A variant of each enum that comes to an end: one that has been read.
    ends: BTreeMap<Identity, usize>,
    /// This reading was given up, as an enum is inside itself and it is not known yet how that ends.
    waits: bool,
}

/// Gives a value of whatever kind is asked for, and notes the kind.
pub(super) struct Tracer<'t> {
    node: &'t mut Node,
    search: &'t mut Search,
    levels_left: usize,
    depth_left: usize,
    /// The least that makes a value, of which nothing is noted: what is in there has been seen further up.
    brief: bool,
}

impl<'t> Tracer<'t> {
    /// Notes what is asked for.
    pub(super) fn sees(self, kind: Kind) -> Result<Self, Refused> {
        if self.brief {
            return Ok(self);
        }
        let Self { node, search, .. } = self;
        if !node.has(kind) {
            search.parts += match kind {
                Kind::Enum(variants) => 1 + variants.len(),
                _ => 1,
            };
        }
        match search.parts > MOST {
            true => Err(Refused),
            false => Ok(Self {
                node: node.of_kind(kind),
                search,
                ..self
            }),
        }
    }

    /// Notes a kind that may be left empty, and says whether it is looked into: each time as it was the first time.
    fn sees_more(self, kind: fn(bool) -> Kind) -> Result<(Self, bool), Refused> {
        let may = !self.brief && self.levels_left > 0 && self.search.parts < MANY;
        let into = match (self.node.has(kind(true)), self.node.has(kind(false))) {
            (false, false) => may,
            (seen, _) => seen,
        };
        Ok((self.sees(kind(into))?, into))
    }

    /// Within what it is, where that is no collection.
    pub(super) fn part(&mut self, index: usize) -> Result<Tracer<'_>, Refused> {
        Ok(Tracer {
            node: self.node.part(index),
            search: self.search,
            levels_left: self.levels_left,
            depth_left: self.depth_left.checked_sub(1).ok_or(Refused)?,
            brief: self.brief,
        })
    }

    /// One level down.
    pub(super) fn below(&mut self, index: usize) -> Result<Tracer<'_>, Refused> {
        let levels_left = self.levels_left.saturating_sub(1);
        let part = self.part(index)?;
        Ok(Tracer {
            levels_left,
            ..part
        })
    }

    /// Reads a type with a name of its own; in brief where it is inside itself.
    fn named<V, T>(
        self,
        names: &'static [&'static str],
        visitor: V,
        read: impl FnOnce(Tracer<'_>, Identity, V) -> Result<T, Refused>,
    ) -> Result<T, Refused> {
        let identity = (type_name::<V>(), names);
        if self.brief {
            let depth_left = self.depth_left.checked_sub(1).ok_or(Refused)?;
            return read(Tracer { depth_left, ..self }, identity, visitor);
        }
        let within = &self.search.within;
        if let Some(up) = within.iter().rev().position(|around| *around == identity) {
            let mut seen = self.sees(Kind::Above(up))?;
            return read(seen.in_brief(&mut Node::new())?, identity, visitor);
        }
        self.search.within.push(identity);
        let search = self.search;
        let inner = Tracer {
            node: self.node,
            search: &mut *search,
            ..self
        };
        let value = read(inner, identity, visitor);
        search.within.pop();
        value
    }

    /// For what is there already.
    fn in_brief<'n>(&'n mut self, node: &'n mut Node) -> Result<Tracer<'n>, Refused> {
        Ok(Tracer {
            node,
            search: self.search,
            levels_left: 0,
            depth_left: self.depth_left.checked_sub(1).ok_or(Refused)?,
            brief: true,
        })
    }

    pub(super) fn fields<'de, V: Visitor<'de>>(
        self,
        names: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Refused> {
        let mut seen = self.sees(Kind::Struct(names))?;
        visitor.visit_map(Fields::new(names, &mut seen))
    }

    /// Reads the variant whose turn it is.
    fn variant<'de, V: Visitor<'de>>(
        mut self,
        identity: Identity,
        visitor: V,
    ) -> Result<V::Value, Refused> {
        let names = identity.1;
        let known = self.search.ends.get(&identity).copied();
        let is_too_much = self.search.parts >= MANY && !self.node.has(Kind::Enum(names));
        if self.brief || (is_too_much && known.is_some()) {
            let Some(name) = known.and_then(|index| names.get(index)) else {
                self.search.waits = true;
                return Err(Refused);
            };
            let mut scratch = Node::new();
            let tracer = self.in_brief(&mut scratch)?;
            return visitor.visit_enum(Variant { name, tracer });
        }
        let mut seen = self.sees(Kind::Enum(names))?;
        let index = seen.node.choose(names.len()).ok_or(Refused)?;
        let name = names.get(index).ok_or(Refused)?;
        let tracer = seen.part(index)?;
        let value = visitor.visit_enum(Variant { name, tracer });
        let for_good = !seen.search.waits;
        seen.node.part(index).ended(value.is_ok(), for_good);
        if value.is_ok() {
            seen.search.ends.entry(identity).or_insert(index);
        }
        value
    }
}

macro_rules! plain {
    ($($method:ident $visit:ident ($($value:expr)?), $name:literal;)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
            self.sees(Kind::Plain($name))?;
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

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        match self.sees_more(Kind::Option)? {
            (mut seen, true) => visitor.visit_some(seen.below(0)?),
            (_, false) => visitor.visit_none(),
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
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Refused> {
        if name != EXTENSION {
            return self.named(&[], visitor, |tracer, _, visitor| {
                visitor.visit_newtype_struct(tracer)
            });
        }
        // A time, which is all that there is of these here.
        self.sees(Kind::Plain("ext"))?;
        visitor.visit_newtype_struct(de::value::SeqAccessDeserializer::new(Time(0)))
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        let (mut seen, into) = self.sees_more(Kind::List)?;
        visitor.visit_seq(Items::new(into.into(), &mut seen))
    }

    fn deserialize_tuple<V: Visitor<'de>>(
        self,
        len: usize,
        visitor: V,
    ) -> Result<V::Value, Refused> {
        let mut seen = self.sees(Kind::Tuple(len))?;
        visitor.visit_seq(Items::new(len, &mut seen))
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        len: usize,
        visitor: V,
    ) -> Result<V::Value, Refused> {
        self.named(&[], visitor, |tracer, _, visitor| {
            tracer.deserialize_tuple(len, visitor)
        })
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        let (mut seen, into) = self.sees_more(Kind::Map)?;
        visitor.visit_map(Items::new(into.into(), &mut seen))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Refused> {
        self.named(fields, visitor, |tracer, _, visitor| {
            tracer.fields(fields, visitor)
        })
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Refused> {
        self.named(variants, visitor, |tracer, identity, visitor| {
            tracer.variant(identity, visitor)
        })
    }

    fn is_human_readable(&self) -> bool {
        false
    }
}
