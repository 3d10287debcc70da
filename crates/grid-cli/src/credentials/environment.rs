//! What the environment has for a node: secrets that are not to stand in a command line.

use std::{env, ffi::OsString, fmt};

use crate::{failure::Failure, token::TOKEN_VARIABLE};

/// The environment variable that holds the shared secret.
pub(super) const SHARED_SECRET_VARIABLE: &str = "GRID_SHARED_SECRET";
/// The environment variables that hold the two keys of JSON web tokens.
pub(super) const ACCESS_KEY_VARIABLE: &str = "GRID_JWT_ACCESS_KEY";
pub(super) const JWT_SECRET_VARIABLE: &str = "GRID_JWT_SECRET";

/// The values of the variables; an empty one is none. They appear in no debug output.
#[derive(Clone, Default)]
pub(crate) struct Environment {
    pub(super) token: Option<OsString>,
    pub(super) shared_secret: Option<OsString>,
    pub(super) access_key: Option<OsString>,
    pub(super) jwt_secret: Option<OsString>,
}

impl Environment {
    /// Those of this process.
    pub(crate) fn read() -> Self {
        let value = |name| env::var_os(name).filter(|value| !value.is_empty());
        Self {
            token: value(TOKEN_VARIABLE),
            shared_secret: value(SHARED_SECRET_VARIABLE),
            access_key: value(ACCESS_KEY_VARIABLE),
            jwt_secret: value(JWT_SECRET_VARIABLE),
        }
    }

    #[cfg(test)]
    pub(crate) fn with_token(token: &str) -> Self {
        Self {
            token: Some(token.into()),
            ..Self::default()
        }
    }

    pub(crate) fn into_token(self) -> Option<OsString> {
        self.token
    }
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Environment(…)")
    }
}

/// The value of the variable `name`, which may hold a secret and is not told.
pub(super) fn text(name: &str, value: OsString) -> Result<String, Failure> {
    value
        .into_string()
        .map_err(|_| Failure::bad(format!("the value of {name} is no text")))
}
