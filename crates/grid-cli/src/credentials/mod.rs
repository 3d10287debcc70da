//! How a node shows who it is, and how it checks others: a token, proofs of a shared secret, JSON web tokens, or nothing.

mod args;
mod environment;
mod secret;

use grid_transport::{Builder, Jwt, NoAuth, SharedSecret, StaticToken};

pub(crate) use self::{args::CredentialArgs, environment::Environment, secret::from_file};
use crate::token::Token;

/// What a node of an open grid says when it starts.
pub(crate) const OPEN: &str =
    "--no-auth: whoever reaches the port and knows a name of the list belongs to the grid";

/// The one way of a grid; nothing secret is in its debug output.
#[derive(Clone, Debug)]
pub(crate) enum Credentials {
    /// All show the same token.
    Token(Token),
    /// All know the same secret, and show proofs of it.
    SharedSecret(Token),
    /// All have the same two keys, and show JSON web tokens.
    Jwt(Jwt),
    /// Nobody shows anything.
    Open,
}

impl Credentials {
    /// Gives them to a node.
    pub(crate) fn apply(&self, builder: Builder) -> Builder {
        match self {
            Self::Token(token) => builder.auth(StaticToken::new(token.text())),
            Self::SharedSecret(secret) => builder.auth(SharedSecret::new(secret.text())),
            Self::Jwt(jwt) => builder.auth(jwt.clone()),
            Self::Open => builder.auth(NoAuth),
        }
    }

    /// Whether everybody on this machine can read them in the process list.
    pub(crate) fn are_on_command_line(&self) -> bool {
        matches!(self, Self::Token(token) if token.is_on_command_line())
    }

    /// Whether everybody is let in.
    pub(crate) fn are_open(&self) -> bool {
        matches!(self, Self::Open)
    }
}
