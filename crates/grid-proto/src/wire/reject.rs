//! Why a connection is refused.

use std::fmt;
use std::time::Duration;

use super::duration;
use super::op::Op;
use super::text::Text;

/// Why an acceptor refuses a connection, in the order of its checks (protocol section 2).
///
/// Travels as the text that [`Display`](fmt::Display) prints, in
/// [`ConnectResponse::rejected_reason`](super::ConnectResponse::rejected_reason).
///
/// ```
/// use grid_proto::wire::ConnectRejection;
///
/// let rejection = ConnectRejection::from_text(b"unknown incoming host: http://node9:9000");
/// assert_eq!(rejection, ConnectRejection::UnknownHost("http://node9:9000".into()));
/// assert_eq!(rejection.to_string(), "unknown incoming host: http://node9:9000");
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum ConnectRejection {
    /// The first message couldn't be read.
    Unreadable(Text),
    /// The first message is none.
    InvalidMessage(Text),
    /// The first message is no [`Op::Connect`].
    UnexpectedOp(Op),
    /// The payload is no [`ConnectRequest`](super::ConnectRequest).
    InvalidRequest(Text),
    /// No remote of the acceptor has this name.
    UnknownHost(Text),
    /// The clocks differ by this much, whichever is ahead.
    ClockSkew(Duration),
    /// The token isn't valid, for this reason.
    Token(Text),
    /// The name is that of another remote than the one expected here.
    UnexpectedRemote {
        /// The name of the remote that was expected.
        expected: Text,
        /// The name that was given.
        got: Text,
    },
    /// The acceptor is the one of the pair that dials.
    WrongSide,
    /// A reason that this version doesn't know.
    Other(Text),
}

const UNREADABLE: &str = "reading connect: ";
const INVALID_MESSAGE: &str = "error parsing grid connect: ";
const UNEXPECTED_OP: &str = "unexpected connect op: ";
const INVALID_REQUEST: &str = "error parsing connectReq: ";
const UNKNOWN_HOST: &str = "unknown incoming host: ";
const CLOCK_SKEW: &str = "time difference too large between servers: ";
const TOKEN: &str = "auth token: ";
const EXPECTED: &str = "expected remote '";
const GOT: &str = "', got '";
const QUOTE: &str = "'";
const WRONG_SIDE: &str = "grid: expected to be client side, not server side";

impl ConnectRejection {
    /// The rejection that prints as `text`; [`Other`](Self::Other) where none is known.
    #[must_use]
    pub fn from_text(text: &[u8]) -> Self {
        let other = || Self::Other(Text::from(text.to_vec()));
        match Self::recognise(text) {
            // A text that is only almost known is kept as it is.
            Some(known) if known.to_text().as_bytes() == text => known,
            _ => other(),
        }
    }

    /// The text as it travels: what [`Display`](fmt::Display) prints, with texts inside it unchanged even where they are
    /// no UTF-8.
    #[must_use]
    pub fn to_text(&self) -> Text {
        let joined = |parts: &[&[u8]]| Text::from(parts.concat());
        match self {
            Self::Unreadable(why) => joined(&[UNREADABLE.as_bytes(), why.as_bytes()]),
            Self::InvalidMessage(why) => joined(&[INVALID_MESSAGE.as_bytes(), why.as_bytes()]),
            Self::InvalidRequest(why) => joined(&[INVALID_REQUEST.as_bytes(), why.as_bytes()]),
            Self::UnknownHost(name) => joined(&[UNKNOWN_HOST.as_bytes(), name.as_bytes()]),
            Self::Token(why) => joined(&[TOKEN.as_bytes(), why.as_bytes()]),
            Self::UnexpectedRemote { expected, got } => joined(&[
                EXPECTED.as_bytes(),
                expected.as_bytes(),
                GOT.as_bytes(),
                got.as_bytes(),
                QUOTE.as_bytes(),
            ]),
            Self::Other(text) => text.clone(),
            Self::UnexpectedOp(_) | Self::ClockSkew(_) | Self::WrongSide => {
                Text::from(self.to_string())
            }
        }
    }

    fn recognise(text: &[u8]) -> Option<Self> {
        let after = |prefix: &str| text.strip_prefix(prefix.as_bytes());
        let text_after = |prefix: &str| after(prefix).map(|rest| Text::from(rest.to_vec()));
        if text == WRONG_SIDE.as_bytes() {
            Some(Self::WrongSide)
        } else if let Some(name) = after(UNEXPECTED_OP) {
            op_named(name).map(Self::UnexpectedOp)
        } else if let Some(skew) = after(CLOCK_SKEW) {
            duration::parse(str::from_utf8(skew).ok()?).map(Self::ClockSkew)
        } else if let Some(names) = after(EXPECTED) {
            let (expected, got) =
                split_once(names.strip_suffix(QUOTE.as_bytes())?, GOT.as_bytes())?;
            Some(Self::UnexpectedRemote {
                expected: expected.to_vec().into(),
                got: got.to_vec().into(),
            })
        } else {
            let unreadable = || text_after(UNREADABLE).map(Self::Unreadable);
            unreadable()
                .or_else(|| text_after(INVALID_MESSAGE).map(Self::InvalidMessage))
                .or_else(|| text_after(INVALID_REQUEST).map(Self::InvalidRequest))
                .or_else(|| text_after(UNKNOWN_HOST).map(Self::UnknownHost))
                .or_else(|| text_after(TOKEN).map(Self::Token))
        }
    }
}

impl fmt::Display for ConnectRejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(why) => write!(f, "{UNREADABLE}{why}"),
            Self::InvalidMessage(why) => write!(f, "{INVALID_MESSAGE}{why}"),
            Self::UnexpectedOp(op) => write!(f, "{UNEXPECTED_OP}{op}"),
            Self::InvalidRequest(why) => write!(f, "{INVALID_REQUEST}{why}"),
            Self::UnknownHost(name) => write!(f, "{UNKNOWN_HOST}{name}"),
            Self::ClockSkew(skew) => {
                f.write_str(CLOCK_SKEW)?;
                duration::print(*skew, f)
            }
            Self::Token(why) => write!(f, "{TOKEN}{why}"),
            Self::UnexpectedRemote { expected, got } => {
                write!(f, "{EXPECTED}{expected}{GOT}{got}{QUOTE}")
            }
            Self::WrongSide => f.write_str(WRONG_SIDE),
            Self::Other(text) => fmt::Display::fmt(text, f),
        }
    }
}

fn op_named(name: &[u8]) -> Option<Op> {
    let known = Op::ALL
        .iter()
        .find(|op| op.name().is_some_and(|known| known.as_bytes() == name));
    if let Some(op) = known {
        return Some(*op);
    }
    let number = name.strip_prefix(b"Op(")?.strip_suffix(b")")?;
    Some(Op::from_u8(str::from_utf8(number).ok()?.parse().ok()?))
}

fn split_once<'a>(bytes: &'a [u8], separator: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    let at = bytes
        .windows(separator.len())
        .position(|window| window == separator)?;
    let (before, rest) = bytes.split_at_checked(at)?;
    Some((before, rest.strip_prefix(separator)?))
}
