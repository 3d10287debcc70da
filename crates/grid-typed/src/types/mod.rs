//! The reference's helper types.
//!
//! Four of them tell nil from empty, as the reference does on the wire, and are nil by default.

mod array;
mod bytes;
#[cfg(feature = "json")]
mod json;
mod no_payload;
mod string_map;
mod url_values;

pub use self::array::Array;
pub use self::bytes::Bytes;
#[cfg(feature = "json")]
pub use self::json::Json;
pub use self::no_payload::NoPayload;
pub use self::string_map::StringMap;
pub use self::url_values::UrlValues;
