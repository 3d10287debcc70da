//! Opening a connection: what the dialer says first, and what the acceptor checks before it answers (protocol section 2).
//!
//! Everything here is a plain function of its arguments: the clock, the names and the outcome of the token check come
//! from the caller, so that the same checks hold behind any socket and any kind of token.
//!
//! ```
//! use grid_proto::InstanceId;
//! use grid_proto::conn::handshake::{self, Acceptor, First};
//! use grid_proto::wire::{ConnectRequest, Timestamp};
//!
//! let (dialer, acceptor) = ("http://node-a:9000", "http://node-b:9000");
//! let now = Timestamp { secs: 1_800_000_000, nanos: 0 };
//! let request = ConnectRequest { host: dialer.into(), time: now, token: "secret".into(), ..Default::default() };
//!
//! // The acceptor's end: everything up to the token, the token, the rest.
//! let checks = Acceptor::new(acceptor, now);
//! let known = |name: &[u8]| (name == dialer.as_bytes()).then_some(dialer);
//! let pending = checks.receive(First::Binary(handshake::connect(&request).into()), known)?;
//! let token_is_valid = pending.token() == b"secret";
//! assert!(token_is_valid);
//! let admitted = checks.admit(pending, Ok(()), known)?;
//! assert_eq!(admitted.remote, dialer);
//!
//! // The dialer's end.
//! let answer = handshake::accept(InstanceId::new([7; 16]), None);
//! assert_eq!(handshake::read_response(answer.into()).unwrap().id, InstanceId::new([7; 16]));
//! # Ok::<(), grid_proto::wire::ConnectRejection>(())
//! ```

use std::fmt;
use std::time::Duration;

use bytes::Bytes;

use crate::wire::{
    ConnectRejection, ConnectRequest, ConnectResponse, DecodeError, Extra, Message, Op, Text,
    Timestamp,
};
use crate::{InstanceId, MuxId, local_dials};

/// How far the clocks of two nodes may be apart, either way.
pub const MAX_CLOCK_SKEW: Duration = Duration::from_secs(300);

/// What a strict acceptor says until the token is valid.
pub const STRICT_TEXT: &str = "rejected";

/// The dialer's first message. It carries no flags and no checksum.
#[must_use]
pub fn connect(request: &ConnectRequest) -> Vec<u8> {
    let mut payload = Vec::new();
    request.encode(&mut payload);
    message(Op::Connect, payload)
}

/// The acceptor's answer to a dialer that it lets in.
#[must_use]
pub fn accept(id: InstanceId, extra: Option<Extra>) -> Vec<u8> {
    response(&ConnectResponse {
        id,
        accepted: true,
        rejected_reason: Text::default(),
        extra,
    })
}

/// The acceptor's answer to a dialer that it turns away. `id` is the acceptor's own, as in any answer.
#[must_use]
pub fn reject(id: InstanceId, reason: &ConnectRejection) -> Vec<u8> {
    response(&ConnectResponse {
        id,
        accepted: false,
        rejected_reason: reason.to_text(),
        extra: None,
    })
}

/// Reads the acceptor's answer.
///
/// # Errors
///
/// [`AnswerError::Rejected`] when the acceptor says no; the others when what came is no answer at all.
pub fn read_response(bytes: Bytes) -> Result<Acceptance, AnswerError> {
    let message = Message::decode(bytes).map_err(AnswerError::Message)?;
    if message.op != Op::ConnectResponse {
        return Err(AnswerError::UnexpectedOp(message.op));
    }
    let response = ConnectResponse::decode(&message.payload).map_err(AnswerError::Response)?;
    if response.accepted {
        Ok(Acceptance {
            id: response.id,
            extra: response.extra,
        })
    } else {
        let reason = ConnectRejection::from_text(response.rejected_reason.as_bytes());
        Err(AnswerError::Rejected(reason))
    }
}

/// What an acceptor that said yes told of itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Acceptance {
    /// Its id, which changes when it restarts.
    pub id: InstanceId,
    /// What it can do beyond the protocol.
    pub extra: Option<Extra>,
}

/// Why an acceptor's answer opens no connection.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AnswerError {
    /// The acceptor turned us away.
    #[error("rejected: {0}")]
    Rejected(ConnectRejection),
    /// The answer is no message.
    #[error("the answer is no message")]
    Message(#[source] DecodeError),
    /// The answer is another kind of message.
    #[error("the answer is a {0}, not a ConnectResponse")]
    UnexpectedOp(Op),
    /// The answer's payload can't be read.
    #[error("the answer's payload is malformed")]
    Response(#[source] DecodeError),
}

/// The first message that came from a dialer, or why none did.
#[derive(Clone, PartialEq, Eq)]
pub enum First {
    /// A binary message.
    Binary(Bytes),
    /// A text message.
    Text(Bytes),
    /// Something that is no message at all; says what is wrong with it.
    Unreadable(Text),
}

/// The acceptor's checks, in the order of protocol section 2, around the token check that is the caller's.
///
/// [`receive`](Self::receive) does those before the token and [`admit`](Self::admit) those after it. A
/// [`strict`](Self::strict) acceptor leaves all but the reading of the message to `admit`, and tells a dialer nothing
/// but `rejected` until its token is valid.
#[derive(Clone, Copy, Debug)]
pub struct Acceptor<'a> {
    local: &'a str,
    now: Timestamp,
    max_skew: Duration,
    strict: bool,
}

/// A connect request that waits for its token to be checked.
#[derive(Clone, Debug)]
pub struct Pending {
    request: ConnectRequest,
}

/// A dialer that passed every check.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Admitted<N> {
    /// Its name, as the acceptor knows it.
    pub remote: N,
    /// Its id, which changes when it restarts.
    pub id: InstanceId,
    /// Its clock when it asked: together with the id, no two requests of an honest node are the same.
    pub time: Timestamp,
    /// What it can do beyond the protocol.
    pub extra: Option<Extra>,
}

/// Shows lengths only: what came may hold a token.
impl fmt::Debug for First {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Binary(bytes) => write!(f, "Binary({} bytes)", bytes.len()),
            Self::Text(bytes) => write!(f, "Text({} bytes)", bytes.len()),
            Self::Unreadable(what) => f.debug_tuple("Unreadable").field(what).finish(),
        }
    }
}

impl<'a> Acceptor<'a> {
    /// The checks of the node called `local` whose clock says `now`.
    #[must_use]
    pub const fn new(local: &'a str, now: Timestamp) -> Self {
        Self {
            local,
            now,
            max_skew: MAX_CLOCK_SKEW,
            strict: false,
        }
    }

    /// How far the clocks may be apart; by default [`MAX_CLOCK_SKEW`]. Exactly as much is accepted.
    #[must_use]
    pub const fn max_skew(mut self, max_skew: Duration) -> Self {
        self.max_skew = max_skew;
        self
    }

    /// Whether the token comes first, and the dialer learns no reason before it is valid. By default it doesn't, so that
    /// order and texts are those that other nodes have.
    #[must_use]
    pub const fn strict(mut self, strict: bool) -> Self {
        self.strict = strict;
        self
    }

    /// Checks 1 to 3: the message can be read and is a connect request, its name is known, the clocks agree.
    ///
    /// `known` returns the acceptor's own copy of a name when it is that of one of its remotes.
    ///
    /// # Errors
    ///
    /// The reason that the dialer is to be told.
    pub fn receive<N: AsRef<str>>(
        &self,
        first: First,
        known: impl Fn(&[u8]) -> Option<N>,
    ) -> Result<Pending, ConnectRejection> {
        let request = read_request(first).map_err(|reason| self.veiled(reason))?;
        if !self.strict {
            self.check_origin(&request, known)?;
        }
        Ok(Pending { request })
    }

    /// Checks 4 to 6: the token, whose check came to `token`, the name again, and who of the two dials.
    ///
    /// # Errors
    ///
    /// The reason that the dialer is to be told.
    pub fn admit<N: AsRef<str>>(
        &self,
        pending: Pending,
        token: Result<(), Text>,
        known: impl Fn(&[u8]) -> Option<N>,
    ) -> Result<Admitted<N>, ConnectRejection> {
        let Pending { request } = pending;
        token.map_err(|reason| self.veiled(ConnectRejection::Token(reason)))?;
        let remote = self.check_origin(&request, known)?;
        let name = remote.as_ref();
        if request.host != name {
            return Err(ConnectRejection::UnexpectedRemote {
                expected: name.into(),
                got: request.host.detached(),
            });
        }
        if local_dials(self.local, name) {
            return Err(ConnectRejection::WrongSide);
        }
        Ok(Admitted {
            remote,
            id: request.id,
            time: request.time,
            extra: request.extra,
        })
    }

    fn check_origin<N>(
        &self,
        request: &ConnectRequest,
        known: impl Fn(&[u8]) -> Option<N>,
    ) -> Result<N, ConnectRejection> {
        let remote = known(request.host.as_bytes())
            .ok_or_else(|| ConnectRejection::UnknownHost(request.host.detached()))?;
        let skew = self.now.abs_diff(request.time);
        if skew > self.max_skew {
            return Err(ConnectRejection::ClockSkew(skew));
        }
        Ok(remote)
    }

    fn veiled(&self, reason: ConnectRejection) -> ConnectRejection {
        if self.strict {
            ConnectRejection::Other(STRICT_TEXT.into())
        } else {
            reason
        }
    }
}

impl Pending {
    /// The dialer's token.
    #[must_use]
    pub fn token(&self) -> &[u8] {
        self.request.token.as_bytes()
    }

    /// The name that the dialer gives itself. A strict acceptor hasn't looked it up yet.
    #[must_use]
    pub fn host(&self) -> &Text {
        &self.request.host
    }
}

fn read_request(first: First) -> Result<ConnectRequest, ConnectRejection> {
    let bytes = match first {
        First::Binary(bytes) => bytes,
        // A connect request in a text message is no UTF-8, and this is what other nodes say to it.
        First::Text(text) if str::from_utf8(&text).is_err() => {
            return Err(ConnectRejection::Unreadable("invalid utf8".into()));
        }
        First::Text(_) => return Err(ConnectRejection::Unreadable("text message".into())),
        First::Unreadable(reason) => return Err(ConnectRejection::Unreadable(reason)),
    };
    let message = Message::decode(bytes)
        .map_err(|error| ConnectRejection::InvalidMessage(error.to_string().into()))?;
    if message.op != Op::Connect {
        return Err(ConnectRejection::UnexpectedOp(message.op));
    }
    ConnectRequest::decode(&message.payload)
        .map_err(|error| ConnectRejection::InvalidRequest(error.to_string().into()))
}

fn response(response: &ConnectResponse) -> Vec<u8> {
    let mut payload = Vec::new();
    response.encode(&mut payload);
    message(Op::ConnectResponse, payload)
}

fn message(op: Op, payload: Vec<u8>) -> Vec<u8> {
    let message = Message {
        payload: payload.into(),
        ..Message::new(op, MuxId::CONNECTION)
    };
    let mut bytes = Vec::new();
    message.encode(&mut bytes);
    bytes
}

#[cfg(test)]
#[path = "handshake_tests.rs"]
mod tests;
