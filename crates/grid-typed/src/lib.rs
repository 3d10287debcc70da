//! Typed messages over grid: serde structs in, serde structs out.
//!
//! A message is any type that [`Serialize`](serde::Serialize)s and
//! [`DeserializeOwned`](serde::de::DeserializeOwned)s; there is no trait to write ([`Message`] says
//! more). It goes over the wire as [`msgpack`] by the rules of the reference implementation:
//! structs are maps by field name, bytes are bin, times are extensions, fields that are unknown are
//! skipped.
//!
//! ```
//! use grid_typed::Timestamp;
//! use serde::{Deserialize, Serialize};
//!
//! #[derive(Debug, PartialEq, Serialize, Deserialize)]
//! #[serde(default, rename_all = "PascalCase")]
//! struct FileInfo {
//!     name: String,
//!     size: i64,
//!     modified: Timestamp,
//!     #[serde(with = "serde_bytes")]
//!     data: Vec<u8>,
//! }
//! # impl Default for FileInfo {
//! #     fn default() -> Self {
//! #         Self { name: String::new(), size: 0, modified: Timestamp::ZERO, data: Vec::new() }
//! #     }
//! # }
//!
//! let info = FileInfo { name: "part.1".into(), size: 128, ..FileInfo::default() };
//! let payload = grid_typed::encode(&info)?;
//! assert_eq!(grid_typed::decode::<FileInfo>(&payload)?, info);
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! ```
//!
//! # Helper types
//!
//! The reference has ready-made payloads, and so has this crate, with the same bytes:
//!
//! | here | there | msgpack |
//! | --- | --- | --- |
//! | [`StringMap`] | `MSS` | map of str, or nil |
//! | [`Bytes`] | `Bytes` | bin, or nil |
//! | [`UrlValues`] | `URLValues` | map of arrays of str |
//! | [`Array<T>`](Array) | `Array` | array, or nil |
//! | `Json<T>` | `JSON` | bin of JSON text, or nil |
//! | [`NoPayload`] | `NoPayload` | no bytes at all |
//! | [`Timestamp`] | `time.Time` | extension |
//!
//! # Features
//!
//! - `json`: `Json<T>`.
//! - `value`: `Value`, any msgpack value (by rmpv).

mod error;
mod message;
mod time;
mod types;
#[cfg(feature = "value")]
mod value;

#[cfg(feature = "__fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
pub mod msgpack;

pub use self::error::{DecodeError, EncodeError};
pub use self::message::{Message, decode, encode};
pub use self::time::Timestamp;
#[cfg(feature = "json")]
pub use self::types::Json;
pub use self::types::{Array, Bytes, NoPayload, StringMap, UrlValues};
#[cfg(feature = "value")]
pub use self::value::Value;
