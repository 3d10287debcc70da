//! What a type was seen to read, over all of its readings.

use std::fmt;

/// A value: its kind, and what was seen inside.
#[derive(Debug)]
pub(super) struct Node {
    kind: Kind,
    parts: Vec<Self>,
    /// What was read in its place in other readings: what is behind a name of a variant may be something else each time.
    others: Vec<Self>,
    /// Of a variant: how often it was given.
    tries: usize,
    /// Of a variant: what became of it.
    fate: Fate,
}

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Unseen,
    /// A variant that holds nothing.
    Bare,
    /// What has no parts.
    Plain(&'static str),
    /// With whether it is looked into, as the next two.
    Option(bool),
    List(bool),
    Map(bool),
    Tuple(usize),
    Struct(&'static [&'static str]),
    Enum(&'static [&'static str]),
    /// A type inside itself: how many types up, of those with names of their own.
    Above(usize),
}

/// What is known of a variant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Open,
    Read,
    Refused,
}

impl Node {
    pub(super) const fn new() -> Self {
        Self {
            kind: Kind::Unseen,
            parts: Vec::new(),
            others: Vec::new(),
            tries: 0,
            fate: Fate::Open,
        }
    }

    /// Where this kind was seen here, or is from now on.
    pub(super) fn of_kind(&mut self, kind: Kind) -> &mut Self {
        if self.kind == Kind::Unseen {
            self.kind = kind;
        }
        if self.kind == kind {
            return self;
        }
        let known = self.others.iter().position(|other| other.kind == kind);
        let index = known.unwrap_or(self.others.len());
        if known.is_none() {
            self.others.push(Self {
                kind,
                ..Self::new()
            });
        }
        &mut self.others[index]
    }

    /// What is inside, by its place.
    pub(super) fn part(&mut self, index: usize) -> &mut Self {
        if self.parts.len() <= index {
            self.parts.resize_with(index + 1, Self::new);
        }
        &mut self.parts[index]
    }

    /// Of an enum with so many variants the one to be given: of those that are not done the one that was given least, so that none holds
    /// up others; or else of those that can be read, as what is around it may not take each. None where none can be.
    pub(super) fn choose(&mut self, variants: usize) -> Option<usize> {
        self.parts.resize_with(variants, Self::new);
        let any_open = self.parts.iter().any(Self::is_open_variant);
        let wanted = |variant: &Self| match any_open {
            true => variant.is_open_variant(),
            false => variant.fate == Fate::Read,
        };
        let variants = self.parts.iter_mut().enumerate();
        let (index, variant) = variants
            .filter(|(_, variant)| wanted(variant))
            .min_by_key(|(_, variant)| variant.tries)?;
        variant.tries += 1;
        Some(index)
    }

    /// Notes of a variant that it was read, or that it was not: for good where another reading would find the same.
    pub(super) fn ended(&mut self, read: bool, for_good: bool) {
        if read {
            self.fate = Fate::Read;
        } else if for_good && self.fate == Fate::Open && !self.is_open() {
            self.fate = Fate::Refused;
        }
    }

    pub(super) fn has(&self, kind: Kind) -> bool {
        self.kind == kind || self.others.iter().any(|other| other.kind == kind)
    }

    /// Whether there are variants in it that may yet be read.
    pub(super) fn is_open(&self) -> bool {
        let is_open = match self.kind {
            Kind::Enum(_) => Self::is_open_variant,
            _ => Self::is_open,
        };
        self.parts.iter().any(is_open) || self.others.iter().any(Self::is_open)
    }

    fn is_open_variant(&self) -> bool {
        match self.fate {
            Fate::Open => true,
            Fate::Read => self.is_open(),
            Fate::Refused => false,
        }
    }

    /// Its parts between brackets, `...` for what was not seen.
    fn write(
        &self,
        f: &mut fmt::Formatter<'_>,
        brackets: [&str; 2],
        names: &[&str],
        len: usize,
    ) -> fmt::Result {
        f.write_str(brackets[0])?;
        for index in 0..len {
            if index > 0 {
                f.write_str(", ")?;
            }
            if let Some(name) = names.get(index) {
                write!(f, "{name}: ")?;
            }
            match self.parts.get(index) {
                Some(part) => write!(f, "{part}")?,
                None if names.is_empty() => {
                    f.write_str("...")?;
                    break;
                }
                None => f.write_str("...")?,
            }
        }
        f.write_str(brackets[1])
    }

    fn write_variants(&self, f: &mut fmt::Formatter<'_>, names: &[&str]) -> fmt::Result {
        f.write_str("enum(")?;
        for (index, name) in names.iter().enumerate() {
            if index > 0 {
                f.write_str(" | ")?;
            }
            f.write_str(name)?;
            match self.parts.get(index) {
                Some(variant) if variant.fate == Fate::Refused => f.write_str(": opaque")?,
                Some(variant) if variant.kind == Kind::Bare => {}
                Some(variant) => write!(f, ": {variant}")?,
                None => f.write_str(": ...")?,
            }
        }
        f.write_str(")")
    }
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            Kind::Unseen => f.write_str("...")?,
            Kind::Bare => f.write_str("nothing")?,
            Kind::Plain(name) => f.write_str(name)?,
            Kind::Option(into) => {
                f.write_str("?")?;
                match self.parts.first() {
                    Some(part) if into => write!(f, "{part}")?,
                    _ => f.write_str("...")?,
                }
            }
            Kind::List(into) => self.write(f, ["[", "]"], &[], into.into())?,
            Kind::Map(true) => match self.parts.as_slice() {
                [key, value] => write!(f, "map<{key}: {value}>")?,
                _ => f.write_str("map<...>")?,
            },
            Kind::Map(false) => f.write_str("map<>")?,
            Kind::Tuple(len) => self.write(f, ["(", ")"], &[], len)?,
            Kind::Struct(names) => self.write(f, ["{", "}"], names, names.len())?,
            Kind::Enum(names) => self.write_variants(f, names)?,
            Kind::Above(types) => (0..=types).try_for_each(|_| f.write_str("^"))?,
        }
        self.others
            .iter()
            .try_for_each(|other| write!(f, " / {other}"))
    }
}
