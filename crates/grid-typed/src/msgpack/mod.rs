//! Serde values as msgpack, by the reference's rules.
//!
//! | value | msgpack |
//! | --- | --- |
//! | struct, struct variant | map of field names, in the order of the fields |
//! | tuple, tuple struct, sequence | array |
//! | map | map, any types of keys |
//! | `u8` … `u64`, `usize` | the shortest *unsigned* form (128 is `cc80`) |
//! | `i8` … `i64`, `isize` | the shortest *signed* form (128 is `d10080`), positive numbers too |
//! | `f32`, `f64` | float of that width |
//! | `String`, `&str`, `char` | str |
//! | bytes by [`serde_bytes`], [`Bytes`](crate::Bytes) | bin |
//! | `None`, `()`, unit struct | nil |
//! | newtype struct | what it holds |
//! | enum | str for a unit variant, else a map from the variant's name to what it holds |
//! | [`Timestamp`](crate::Timestamp), newtype named `_ExtStruct` around `(i8, bytes)` | extension |
//!
//! A `Vec<u8>` without [`serde_bytes`] is an array of numbers, which the reference can't read as
//! bytes. 128-bit integers have no form.
//!
//! Read is more than is written: lengths and integers in any form that fits, fields in any order.
//! Unknown fields are skipped. A missing field is an error unless it has `#[serde(default)]`, which
//! is the reference's zero value. Kinds are told apart as strictly as the reference does: nil, bin
//! and str don't stand in for each other or for numbers and arrays, only the keys of maps may come
//! as bin. A key that comes twice in a map is settled by the last; of a struct it is an error.
//! Strings are UTF-8; the reference lets other bytes pass, here they are refused by everything but
//! types that take bytes too.
//!
//! # Limits
//!
//! Values nest up to [`MAX_DEPTH`] levels, both ways. A declared length is believed only as far as
//! the input reaches: an array of 2³²−1 strings in five bytes is [`DecodeError::Truncated`] before
//! anything is allocated.

mod access;
mod compound;
mod decode;
mod encode;
mod quick;
mod reader;
mod writer;

use serde::{Deserialize, Serialize};

use crate::{DecodeError, EncodeError};

/// How many arrays, maps, structs and variants may stand inside each other.
pub const MAX_DEPTH: usize = 128;

/// The name by which serde types ask for a msgpack extension.
pub(crate) const EXTENSION: &str = "_ExtStruct";

/// Appends a value to `out`; on an error `out` is as it was.
///
/// # Errors
///
/// When the value has no encoding.
pub fn encode<T: Serialize + ?Sized>(value: &T, out: &mut Vec<u8>) -> Result<(), EncodeError> {
    let before = out.len();
    let done = value.serialize(&mut encode::Serializer::new(out));
    if done.is_err() {
        out.truncate(before);
    }
    done
}

/// A value in a buffer of its own.
///
/// ```
/// # #[derive(serde::Serialize)]
/// # #[serde(rename_all = "PascalCase")]
/// struct Hello {
///     num: i64,
///     string: String,
/// }
///
/// let hello = Hello { num: -1, string: "x".into() };
/// assert_eq!(grid_typed::msgpack::to_vec(&hello)?, b"\x82\xa3Num\xff\xa6String\xa1x");
/// # Ok::<_, grid_typed::EncodeError>(())
/// ```
///
/// # Errors
///
/// When the value has no encoding.
pub fn to_vec<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>, EncodeError> {
    let mut out = Vec::new();
    encode(value, &mut out)?;
    Ok(out)
}

/// Takes a value from the front of `input`, which is left with the bytes behind it; on an error it
/// is as it was.
///
/// # Errors
///
/// When `input` doesn't begin with a value of this type.
pub fn decode<'de, T: Deserialize<'de>>(input: &mut &'de [u8]) -> Result<T, DecodeError> {
    let mut deserializer = decode::Deserializer::new(input);
    match T::deserialize(&mut deserializer) {
        Ok(value) => {
            *input = deserializer.rest();
            Ok(value)
        }
        Err(error) => Err(error.at(deserializer.offset())),
    }
}

/// The value that `bytes` begins with; bytes behind it are ignored.
///
/// # Errors
///
/// When `bytes` doesn't begin with a value of this type.
pub fn from_slice<'de, T: Deserialize<'de>>(mut bytes: &'de [u8]) -> Result<T, DecodeError> {
    decode(&mut bytes)
}
