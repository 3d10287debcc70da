//! Text that a peer chose.

use std::borrow::Cow;
use std::fmt;

use bytes::Bytes;

/// A text of the protocol, kept as the bytes that were sent.
///
/// It should be UTF-8, but nodes accept and pass on what isn't (protocol section 3). Showing it puts U+FFFD in place of
/// what is invalid.
///
/// A text that was decoded shares the buffer of its message; [`detached`](Self::detached) copies it out, for texts that
/// are kept longer than the message.
///
/// ```
/// use grid_proto::wire::Text;
///
/// assert_eq!(Text::from("no such disk").to_string(), "no such disk");
/// assert_eq!(Text::from(b"\xff!".to_vec()).to_string(), "\u{fffd}!");
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Text(Bytes);

impl Text {
    /// The bytes as they travel.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The bytes as they travel, without a copy.
    #[must_use]
    pub fn into_bytes(self) -> Bytes {
        self.0
    }

    /// The text with U+FFFD in place of what is no UTF-8.
    #[must_use]
    pub fn to_string_lossy(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.0)
    }

    /// The length in bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is no byte.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The text, or as much of its beginning as has at most `max` bytes, without half a character at its end.
    #[must_use]
    pub(crate) fn cut_to(mut self, max: usize) -> Self {
        if max < self.0.len() {
            let starts_one = |at: usize| self.0.get(at).is_none_or(|byte| byte & 0xc0 != 0x80);
            // Of what is no UTF-8 anything may go.
            let end = (max.saturating_sub(3)..=max)
                .rev()
                .find(|at| starts_one(*at));
            self.0.truncate(end.unwrap_or(max));
        }
        self
    }

    /// The same text in a buffer of its own.
    #[must_use]
    pub fn detached(&self) -> Self {
        Self(Bytes::copy_from_slice(&self.0))
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for chunk in self.0.utf8_chunks() {
            f.write_str(chunk.valid())?;
            if !chunk.invalid().is_empty() {
                f.write_str("\u{fffd}")?;
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.to_string_lossy(), f)
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Self(Bytes::copy_from_slice(text.as_bytes()))
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        Self(text.into())
    }
}

impl From<Vec<u8>> for Text {
    fn from(text: Vec<u8>) -> Self {
        Self(text.into())
    }
}

impl From<Bytes> for Text {
    fn from(text: Bytes) -> Self {
        Self(text)
    }
}

impl From<Text> for Bytes {
    fn from(text: Text) -> Self {
        text.0
    }
}

impl PartialEq<str> for Text {
    fn eq(&self, other: &str) -> bool {
        self.0 == other.as_bytes()
    }
}

impl PartialEq<&str> for Text {
    fn eq(&self, other: &&str) -> bool {
        self == *other
    }
}

#[cfg(test)]
mod tests {
    use super::Text;

    #[test]
    fn cut_between_characters_where_there_are_any() {
        let text = Text::from("a\u{20ac}b");
        for (max, left) in [
            (0, ""),
            (1, "a"),
            (2, "a"),
            (3, "a"),
            (4, "a\u{20ac}"),
            (5, "a\u{20ac}b"),
            (9, "a\u{20ac}b"),
        ] {
            assert_eq!(text.clone().cut_to(max), left, "{max}");
        }
        assert_eq!(Text::from(vec![0x80; 9]).cut_to(5).len(), 5);
    }
}
