//! Routes that split a handler's number, and the ids by which they travel (protocol section 5).

use std::fmt;

use sha2::{Digest, Sha256};

use crate::HandlerId;
use crate::id::write_hex;

/// What a request or stream carries in place of a route: 32 bytes that name handler and route together.
///
/// The SHA-256 of the route with byte 0 replaced by the handler's number and byte 1 by zero.
///
/// ```
/// use grid_proto::{HandlerId, SubrouteId};
///
/// let id = SubrouteId::new(HandlerId::new(9), "disk/0");
/// assert_eq!(id.handler(), HandlerId::new(9));
/// assert_eq!(id.as_bytes()[1], 0);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SubrouteId([u8; 32]);

impl SubrouteId {
    /// The length of an id on the wire, in bytes.
    pub const LEN: usize = 32;

    /// The id of `route` at `handler`.
    #[must_use]
    pub fn new(handler: HandlerId, route: &str) -> Self {
        let mut bytes: [u8; 32] = Sha256::digest(route.as_bytes()).into();
        let [first, second, ..] = &mut bytes;
        *first = handler.get();
        *second = 0;
        Self(bytes)
    }

    /// The id that is all zeros but for the handler's number. No route has it.
    #[must_use]
    pub const fn zero(handler: HandlerId) -> Self {
        let mut bytes = [0; 32];
        let [first, ..] = &mut bytes;
        *first = handler.get();
        Self(bytes)
    }

    /// The id of these bytes, whatever they are.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The bytes as they travel.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The handler whose number stands in byte 0.
    #[must_use]
    pub const fn handler(&self) -> HandlerId {
        let [first, ..] = self.0;
        HandlerId::new(first)
    }
}

impl fmt::Display for SubrouteId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(&self.0, f)
    }
}

impl fmt::Debug for SubrouteId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SubrouteId(")?;
        write_hex(&self.0, f)?;
        f.write_str(")")
    }
}

/// The text that splits a handler: parts joined with `/`.
///
/// ```
/// use grid_proto::{HandlerId, Route, SubrouteId};
///
/// let route = Route::new("disk").join("0");
/// assert_eq!(route.as_str(), "disk/0");
/// assert_eq!(route.id(HandlerId::new(9)), SubrouteId::new(HandlerId::new(9), "disk/0"));
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Route(String);

impl Route {
    /// A route of one part.
    #[must_use]
    pub fn new(part: impl Into<String>) -> Self {
        Self(part.into())
    }

    /// This route with one more part behind a `/`.
    #[must_use]
    pub fn join(&self, part: &str) -> Self {
        let mut joined = String::with_capacity(self.0.len() + 1 + part.len());
        joined.push_str(&self.0);
        joined.push('/');
        joined.push_str(part);
        Self(joined)
    }

    /// The whole text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The id under which this route travels at `handler`.
    #[must_use]
    pub fn id(&self, handler: HandlerId) -> SubrouteId {
        SubrouteId::new(handler, &self.0)
    }
}

impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<&str> for Route {
    fn from(part: &str) -> Self {
        Self::new(part)
    }
}

impl From<String> for Route {
    fn from(part: String) -> Self {
        Self::new(part)
    }
}
