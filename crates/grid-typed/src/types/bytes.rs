use std::fmt;
use std::ops::Deref;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_bytes::ByteBuf;

/// Bytes, or nil: the reference's `Bytes`.
///
/// A bin in msgpack, nil as nil. Nil and no bytes are two different values; a missing field and the
/// default are nil. [`Debug`] shows the length only. Inside `Json` it is an array of numbers, where
/// the reference has base64 text.
///
/// ```
/// use grid_typed::Bytes;
///
/// assert_eq!(grid_typed::encode(&Bytes::from("data"))?, b"\xc4\x04data");
/// assert_eq!(grid_typed::encode(&Bytes::nil())?, [0xc0]);
/// assert_eq!(Bytes::nil().len(), 0);
/// # Ok::<_, grid_typed::EncodeError>(())
/// ```
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bytes(Option<bytes::Bytes>);

impl Bytes {
    /// No bytes, but not nil.
    pub const fn new() -> Self {
        Self(Some(bytes::Bytes::new()))
    }

    /// Nil.
    pub const fn nil() -> Self {
        Self(None)
    }

    /// Whether this is nil, which no bytes isn't.
    pub const fn is_nil(&self) -> bool {
        self.0.is_none()
    }

    /// The bytes, unless this is nil.
    pub fn into_inner(self) -> Option<bytes::Bytes> {
        self.0
    }
}

impl Deref for Bytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.0.as_deref().unwrap_or_default()
    }
}

impl AsRef<[u8]> for Bytes {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl<T: Into<bytes::Bytes>> From<T> for Bytes {
    fn from(bytes: T) -> Self {
        Self(Some(bytes.into()))
    }
}

impl fmt::Debug for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some(bytes) => write!(f, "Bytes({} bytes)", bytes.len()),
            None => f.write_str("Bytes(nil)"),
        }
    }
}

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.0 {
            Some(bytes) => serializer.serialize_bytes(bytes),
            None => serializer.serialize_none(),
        }
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let bytes = Option::<ByteBuf>::deserialize(deserializer)?;
        Ok(Self(bytes.map(|bytes| bytes.into_vec().into())))
    }
}
