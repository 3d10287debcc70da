//! What a call carries, as its user sees it.

use std::fmt;

use bytes::Bytes;

/// The bytes of a request, an answer or a stream item, or that there are none.
///
/// The wire tells an absent payload from one that is present and of length 0 (protocol section 3), and so does this.
#[derive(Clone, PartialEq, Eq, Hash, Default)]
pub enum Payload {
    /// No payload.
    #[default]
    Absent,
    /// A payload, which may be empty.
    Present(Bytes),
}

impl Payload {
    /// The bytes; none where the payload is absent.
    #[must_use]
    pub fn into_bytes(self) -> Bytes {
        match self {
            Self::Absent => Bytes::new(),
            Self::Present(bytes) => bytes,
        }
    }

    /// The bytes; none where the payload is absent.
    #[must_use]
    pub fn as_slice(&self) -> &[u8] {
        match self {
            Self::Absent => &[],
            Self::Present(bytes) => bytes,
        }
    }

    /// The number of bytes; 0 where the payload is absent.
    #[must_use]
    pub fn len(&self) -> usize {
        self.as_slice().len()
    }

    /// Whether there is no byte: absent, or present and empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.as_slice().is_empty()
    }

    /// Whether there is no payload.
    #[must_use]
    pub const fn is_absent(&self) -> bool {
        matches!(self, Self::Absent)
    }
}

/// Shows the length and never the bytes: payloads don't belong in logs.
impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent => f.write_str("Absent"),
            Self::Present(bytes) => write!(f, "Present({} bytes)", bytes.len()),
        }
    }
}

impl AsRef<[u8]> for Payload {
    fn as_ref(&self) -> &[u8] {
        self.as_slice()
    }
}

impl From<Bytes> for Payload {
    fn from(bytes: Bytes) -> Self {
        Self::Present(bytes)
    }
}

impl From<Vec<u8>> for Payload {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Present(bytes.into())
    }
}

impl From<&'static [u8]> for Payload {
    fn from(bytes: &'static [u8]) -> Self {
        Self::Present(Bytes::from_static(bytes))
    }
}

impl<const N: usize> From<&'static [u8; N]> for Payload {
    fn from(bytes: &'static [u8; N]) -> Self {
        Self::Present(Bytes::from_static(bytes))
    }
}

impl From<&'static str> for Payload {
    fn from(text: &'static str) -> Self {
        text.as_bytes().into()
    }
}

impl From<String> for Payload {
    fn from(text: String) -> Self {
        text.into_bytes().into()
    }
}
