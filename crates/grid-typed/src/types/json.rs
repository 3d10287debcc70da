use std::borrow::Cow;
use std::io;

use serde::de::{self, DeserializeOwned};
use serde::ser;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::ser::Formatter;

/// A value as JSON text in a msgpack bin, or nil: the reference's `JSON`.
///
/// The text ends in a newline, and `<`, `>`, `&`, U+2028 and U+2029 in it are escaped, as the
/// reference's encoder does. Unknown fields are skipped on reading, missing ones need
/// `#[serde(default)]`. Requires feature `json`.
///
/// ```
/// use grid_typed::Json;
///
/// # #[derive(serde::Serialize)]
/// struct Count {
///     n: i64,
/// }
///
/// assert_eq!(grid_typed::msgpack::to_vec(&Json::new(Count { n: 7 }))?, b"\xc4\x08{\"n\":7}\n");
/// assert_eq!(grid_typed::msgpack::to_vec(&Json::<Count>::nil())?, [0xc0]);
/// # Ok::<_, grid_typed::EncodeError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Json<T>(Option<T>);

impl<T> Json<T> {
    /// A value.
    pub const fn new(value: T) -> Self {
        Self(Some(value))
    }

    /// No value.
    pub const fn nil() -> Self {
        Self(None)
    }

    /// Whether this is nil, which is not JSON's `null`.
    pub const fn is_nil(&self) -> bool {
        self.0.is_none()
    }

    /// The value, unless this is nil.
    pub const fn get(&self) -> Option<&T> {
        self.0.as_ref()
    }

    /// The value, unless this is nil.
    pub fn into_inner(self) -> Option<T> {
        self.0
    }
}

impl<T> Default for Json<T> {
    fn default() -> Self {
        Self::nil()
    }
}

impl<T> From<T> for Json<T> {
    fn from(value: T) -> Self {
        Self::new(value)
    }
}

impl<T: Serialize> Serialize for Json<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Some(value) = &self.0 else {
            return serializer.serialize_none();
        };
        let mut text = Vec::new();
        value
            .serialize(&mut serde_json::Serializer::with_formatter(
                &mut text, Escaping,
            ))
            .map_err(ser::Error::custom)?;
        text.push(b'\n');
        serializer.serialize_bytes(&text)
    }
}

impl<'de, T: DeserializeOwned> Deserialize<'de> for Json<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Text<'a>(#[serde(borrow, with = "serde_bytes")] Cow<'a, [u8]>);

        let text = Option::<Text<'_>>::deserialize(deserializer)?;
        let value = text.map(|text| serde_json::from_slice(&text.0)).transpose();
        value
            .map(Self)
            .map_err(|error| de::Error::custom(format_args!("JSON: {error}")))
    }
}

/// Compact JSON that can stand in HTML and scripts.
struct Escaping;

impl Formatter for Escaping {
    fn write_string_fragment<W: io::Write + ?Sized>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        let mut rest = fragment;
        while let Some(at) = rest.find(['<', '>', '&', '\u{2028}', '\u{2029}']) {
            let (plain, special) = rest.split_at(at);
            writer.write_all(plain.as_bytes())?;
            let mut after = special.chars();
            if let Some(escaped) = after.next() {
                write!(writer, "\\u{:04x}", u32::from(escaped))?;
            }
            rest = after.as_str();
        }
        writer.write_all(rest.as_bytes())
    }
}
