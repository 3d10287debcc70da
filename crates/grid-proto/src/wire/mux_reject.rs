//! Why a call is refused.

use std::fmt;

use super::text::Text;
use crate::SubrouteId;

/// Why a node refuses a request or stream, instead of giving it to a handler (protocol sections 6 and 7).
///
/// Travels as the text that [`Display`](fmt::Display) prints, in [`MuxConnectError`](super::MuxConnectError).
///
/// ```
/// use grid_proto::wire::MuxRejection;
///
/// let rejection = MuxRejection::from_text(b"Invalid Handler for type: ListDir");
/// assert_eq!(rejection, MuxRejection::UnknownHandler("ListDir".into()));
/// assert_eq!(rejection.to_string(), "Invalid Handler for type: ListDir");
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum MuxRejection {
    /// No handler can have this number.
    InvalidHandler,
    /// No handler of this name is registered.
    UnknownHandler(Text),
    /// No handler is registered for this subroute.
    UnknownSubroute(SubrouteId),
    /// The stream asked to be stateless, which none can be.
    Stateless,
    /// The node is at a limit. Only nodes of this project say so.
    Overloaded,
    /// The node is shutting down. Only nodes of this project say so.
    ShuttingDown,
    /// A reason that this version doesn't know.
    Other(Text),
}

const INVALID_HANDLER: &str = "Invalid Handler";
const UNKNOWN: &str = "Invalid Handler for type: ";
const STATELESS: &str = "Stateless streams not supported";
const OVERLOADED: &str = "grid: refused: overloaded";
const SHUTTING_DOWN: &str = "grid: refused: shutting down";

impl MuxRejection {
    /// The rejection that prints as `text`; [`Other`](Self::Other) where none is known.
    #[must_use]
    pub fn from_text(text: &[u8]) -> Self {
        let known = [
            Self::InvalidHandler,
            Self::Stateless,
            Self::Overloaded,
            Self::ShuttingDown,
        ];
        if let Some(rejection) = known
            .into_iter()
            .find(|known| known.fixed_text() == Some(text))
        {
            return rejection;
        }
        match text.strip_prefix(UNKNOWN.as_bytes()) {
            Some(name) => match subroute_in_decimal(name).map(Self::UnknownSubroute) {
                // A name that is only almost a subroute id is kept as it is.
                Some(rejection) if rejection.to_text().as_bytes() == text => rejection,
                _ => Self::UnknownHandler(name.to_vec().into()),
            },
            None => Self::Other(text.to_vec().into()),
        }
    }

    /// The text as it travels: what [`Display`](fmt::Display) prints, with a text inside it unchanged even where it is no
    /// UTF-8.
    #[must_use]
    pub fn to_text(&self) -> Text {
        match self {
            Self::UnknownHandler(name) => [UNKNOWN.as_bytes(), name.as_bytes()].concat().into(),
            Self::Other(text) => text.clone(),
            _ => Text::from(self.to_string()),
        }
    }

    fn fixed_text(&self) -> Option<&'static [u8]> {
        match self {
            Self::InvalidHandler => Some(INVALID_HANDLER.as_bytes()),
            Self::Stateless => Some(STATELESS.as_bytes()),
            Self::Overloaded => Some(OVERLOADED.as_bytes()),
            Self::ShuttingDown => Some(SHUTTING_DOWN.as_bytes()),
            Self::UnknownHandler(_) | Self::UnknownSubroute(_) | Self::Other(_) => None,
        }
    }
}

impl fmt::Display for MuxRejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InvalidHandler => f.write_str(INVALID_HANDLER),
            Self::UnknownHandler(name) => write!(f, "{UNKNOWN}{name}"),
            Self::UnknownSubroute(id) => {
                let mut separator = "[";
                f.write_str(UNKNOWN)?;
                for byte in id.as_bytes() {
                    write!(f, "{separator}{byte}")?;
                    separator = " ";
                }
                f.write_str("]")
            }
            Self::Stateless => f.write_str(STATELESS),
            Self::Overloaded => f.write_str(OVERLOADED),
            Self::ShuttingDown => f.write_str(SHUTTING_DOWN),
            Self::Other(text) => fmt::Display::fmt(text, f),
        }
    }
}

/// The id that `[9 0 102 …]` spells.
fn subroute_in_decimal(text: &[u8]) -> Option<SubrouteId> {
    let list = text.strip_prefix(b"[")?.strip_suffix(b"]")?;
    let mut numbers = str::from_utf8(list).ok()?.split(' ');
    let mut bytes = [0; SubrouteId::LEN];
    for byte in &mut bytes {
        *byte = numbers.next()?.parse().ok()?;
    }
    numbers
        .next()
        .is_none()
        .then(|| SubrouteId::from_bytes(bytes))
}
