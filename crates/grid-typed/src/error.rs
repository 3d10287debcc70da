//! What can go wrong between a value and its payload.

use std::fmt;
use std::fmt::Write as _;

use serde::de::{Expected, Unexpected};
use serde::{de, ser};

use crate::msgpack::MAX_DEPTH;

/// Texts from decoding may quote what a peer sent, so they are cut at this many bytes.
const REASON_LIMIT: usize = 256;

/// A value that can't become a payload: the fault of whoever made the value or its type.
///
/// Nothing of such a value is sent.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// Arrays, maps and structs stand inside each other more than [`MAX_DEPTH`] levels deep.
    #[error("nested more than {MAX_DEPTH} levels deep")]
    TooDeep,
    /// A string, bytes, an array, a map or an extension has more than 2³²−1 bytes or elements.
    #[error("longer than msgpack can say")]
    TooLong,
    /// The value's own [`Serialize`](serde::Serialize) or [`Message`](crate::Message) refused.
    #[error("{reason}")]
    Refused {
        /// What it said.
        reason: Box<str>,
    },
    /// The value's own code panicked.
    #[error("panic while encoding: {reason}")]
    Panicked {
        /// The panic's text.
        reason: Box<str>,
    },
}

/// A payload that isn't a value of the type that was asked for.
///
/// The texts name kinds of values ("found a string, expected u8"), not their contents. The rare ones
/// that quote a peer are cut at 256 bytes: the name of an unknown variant, what a type's own
/// [`Deserialize`](serde::Deserialize) says, and a value inside `Json` that has the wrong type, which
/// JSON's reader shows. Offsets count bytes from the start of the payload to where reading stopped.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The payload ends inside the value, or declares more elements than its rest could hold.
    #[error("the value is cut short at byte {offset}")]
    Truncated {
        /// Where reading stopped.
        offset: usize,
    },
    /// Arrays, maps and structs stand inside each other more than [`MAX_DEPTH`] levels deep.
    #[error("nested more than {MAX_DEPTH} levels deep at byte {offset}")]
    TooDeep {
        /// Where reading stopped.
        offset: usize,
    },
    /// Well-formed or not, it is no value of this type.
    #[error("{reason}{}", At(*offset))]
    Invalid {
        /// Where reading stopped, if the refusal came from reading msgpack.
        offset: Option<usize>,
        /// What was found and what was expected.
        reason: Box<str>,
    },
    /// The type's own code panicked.
    #[error("panic while decoding: {reason}")]
    Panicked {
        /// The panic's text.
        reason: Box<str>,
    },
}

impl EncodeError {
    /// A refusal with a text, for own implementations of [`Message`](crate::Message).
    pub fn refused(reason: impl fmt::Display) -> Self {
        Self::Refused {
            reason: shortened(reason),
        }
    }
}

impl DecodeError {
    /// A refusal with a text, for own implementations of [`Message`](crate::Message). Cut at 256
    /// bytes.
    pub fn invalid(reason: impl fmt::Display) -> Self {
        Self::Invalid {
            offset: None,
            reason: shortened(reason),
        }
    }

    /// Fills in where reading stopped, which code called by serde can't know.
    pub(crate) fn at(self, stopped: usize) -> Self {
        match self {
            Self::Invalid {
                offset: None,
                reason,
            } => Self::Invalid {
                offset: Some(stopped),
                reason,
            },
            other => other,
        }
    }
}

impl ser::Error for EncodeError {
    fn custom<T: fmt::Display>(reason: T) -> Self {
        Self::refused(reason)
    }
}

impl de::Error for DecodeError {
    fn custom<T: fmt::Display>(reason: T) -> Self {
        Self::invalid(reason)
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::invalid(format_args!("found {}, expected {expected}", kind(found)))
    }

    fn invalid_value(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::invalid(format_args!(
            "unsuitable value, {}, expected {expected}",
            kind(found)
        ))
    }
}

/// `" at byte 7"`, or nothing.
struct At(Option<usize>);

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0
            .map_or(Ok(()), |offset| write!(f, " at byte {offset}"))
    }
}

/// The kind of what was found without its contents: they are the peer's, and could be secret or
/// large.
fn kind(found: Unexpected<'_>) -> &str {
    match found {
        Unexpected::Bool(_) => "a bool",
        Unexpected::Unsigned(_) | Unexpected::Signed(_) => "an integer",
        Unexpected::Float(_) => "a float",
        Unexpected::Char(_) | Unexpected::Str(_) => "a string",
        Unexpected::Bytes(_) => "bytes",
        Unexpected::Unit | Unexpected::Option => "nil",
        Unexpected::NewtypeStruct => "an extension",
        Unexpected::Seq => "an array",
        Unexpected::Map => "a map",
        Unexpected::Other(what) => what,
        _ => "an enum",
    }
}

/// Formats without ever holding more than the limit.
pub(crate) fn shortened(reason: impl fmt::Display) -> Box<str> {
    let mut text = Shortened(String::new());
    if write!(text, "{reason}").is_err() {
        text.0.push('…');
    }
    text.0.into_boxed_str()
}

struct Shortened(String);

impl fmt::Write for Shortened {
    fn write_str(&mut self, part: &str) -> fmt::Result {
        let room = REASON_LIMIT - self.0.len();
        if part.len() <= room {
            self.0.push_str(part);
            return Ok(());
        }
        let end = (0..=room)
            .rev()
            .find(|&end| part.is_char_boundary(end))
            .unwrap_or(0);
        self.0.push_str(part.get(..end).unwrap_or_default());
        Err(fmt::Error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_cut_at_a_character() {
        assert_eq!(&*shortened("short"), "short");
        let cut = shortened("é".repeat(1000));
        assert_eq!(&*cut, format!("{}…", "é".repeat(128)));
        let cut = shortened(format_args!("x{}", "é".repeat(1000)));
        assert_eq!(&*cut, format!("x{}…", "é".repeat(127)));
    }

    #[test]
    fn errors_are_small() {
        assert!(size_of::<DecodeError>() <= 40);
        assert!(size_of::<EncodeError>() <= 24);
    }
}
