//! What proves that a node belongs to the grid.

use std::{
    fmt,
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use futures_util::future::BoxFuture;
use subtle::ConstantTimeEq;

/// An empty token is known to everybody. Whoever is told learns nothing to get in by: nobody does.
const EMPTY: &str = "the token of StaticToken is empty, with which nobody gets in: give it one, or say NoAuth for an open grid";

/// Makes the token that this node shows, and checks those that it is shown (protocol section 2).
///
/// The token travels twice: in the `Authorization` header of the upgrade and in the connect request. What it looks like
/// is the deployment's business.
///
/// It belongs to the node: one that holds a [`Connection`](crate::Connection) of that node keeps it in memory.
///
/// ```
/// use futures_util::future::BoxFuture;
/// use grid_transport::{Auth, AuthError, TokenContext};
///
/// /// Everybody's token is their own name.
/// struct Names;
///
/// impl Auth for Names {
///     fn token<'a>(&'a self, context: TokenContext<'a>) -> BoxFuture<'a, Result<String, AuthError>> {
///         Box::pin(async move { Ok(context.local.to_owned()) })
///     }
///
///     fn check<'a>(&'a self, token: &'a [u8], context: TokenContext<'a>) -> BoxFuture<'a, Result<(), AuthError>> {
///         let valid = token == context.remote.as_bytes();
///         Box::pin(async move { if valid { Ok(()) } else { Err(AuthError::new("not your name")) } })
///     }
/// }
/// ```
pub trait Auth: Send + Sync + 'static {
    /// The token for a connection that is being dialed. Called afresh for each attempt.
    ///
    /// # Errors
    ///
    /// When there is none now; the link tries again later.
    ///
    /// # Cancel safety
    ///
    /// The future is dropped when the attempt takes too long or the node shuts down.
    fn token<'a>(&'a self, context: TokenContext<'a>) -> BoxFuture<'a, Result<String, AuthError>>;

    /// Whether `token`, as it came in a connect request, is valid.
    ///
    /// Comparisons must take the same time whatever differs; [`same_token`] does.
    ///
    /// # Errors
    ///
    /// Why it is not. The dialer is told, after `auth token: `, so the reason must not help one who guesses.
    ///
    /// # Cancel safety
    ///
    /// The future is dropped when the handshake takes too long or the node shuts down.
    fn check<'a>(
        &'a self,
        token: &'a [u8],
        context: TokenContext<'a>,
    ) -> BoxFuture<'a, Result<(), AuthError>>;

    /// Whether a connection may be upgraded at all, by its headers alone. Otherwise it is refused with status 403, and
    /// the dialer learns no more than that. By default all are let through to [`check`](Self::check).
    ///
    /// # Errors
    ///
    /// Why it is not; this is only logged.
    ///
    /// # Cancel safety
    ///
    /// As [`check`](Self::check).
    fn check_headers<'a>(
        &'a self,
        headers: UpgradeHeaders<'a>,
    ) -> BoxFuture<'a, Result<(), AuthError>> {
        let _ = headers;
        Box::pin(async { Ok(()) })
    }
}

/// Between whom a token is used.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct TokenContext<'a> {
    /// This node's name.
    pub local: &'a str,
    /// The other node's name. On the acceptor's side that is what the dialer says; it is only known to be one of the
    /// remotes when the node isn't strict.
    pub remote: &'a str,
    /// This node's [wall clock](crate::Builder::wall_clock), now.
    pub now: SystemTime,
}

impl<'a> TokenContext<'a> {
    pub(crate) const fn new(local: &'a str, remote: &'a str, now: SystemTime) -> Self {
        Self { local, remote, now }
    }
}

/// The headers of an upgrade that say something about the dialer.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub struct UpgradeHeaders<'a> {
    /// What stands behind `Bearer ` in `Authorization`.
    pub bearer: Option<&'a [u8]>,
    /// `X-Minio-Time`, in either spelling; `None` where it is missing or can't be read.
    pub time: Option<SystemTime>,
    /// The acceptor's clock.
    pub now: SystemTime,
}

impl<'a> UpgradeHeaders<'a> {
    pub(crate) const fn new(
        bearer: Option<&'a [u8]>,
        time: Option<SystemTime>,
        now: SystemTime,
    ) -> Self {
        Self { bearer, time, now }
    }
}

impl fmt::Debug for UpgradeHeaders<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UpgradeHeaders")
            .field(
                "bearer",
                &self.bearer.map(|token| format!("{} bytes", token.len())),
            )
            .field("time", &self.time)
            .field("now", &self.now)
            .finish()
    }
}

/// Why there is no token, or why one isn't valid.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{reason}")]
pub struct AuthError {
    reason: Arc<str>,
}

impl AuthError {
    /// For this reason, which the other node may be told.
    #[must_use]
    pub fn new(reason: &str) -> Self {
        Self {
            reason: reason.into(),
        }
    }

    /// The reason.
    #[must_use]
    pub fn reason(&self) -> &str {
        &self.reason
    }
}

/// One token that all nodes of the grid know.
///
/// An empty one, such as that of a variable which is not set, makes no open grid: nothing is dialed with it, nobody is let
/// in, and each attempt says why. An open grid says [`NoAuth`].
///
/// ```
/// use grid_transport::StaticToken;
///
/// let auth = StaticToken::new("correct horse battery staple");
/// assert!(!format!("{auth:?}").contains("horse"));
/// ```
#[derive(Clone)]
pub struct StaticToken {
    token: Secret,
    check_headers: bool,
}

impl StaticToken {
    /// The token. It has to fit into a header: visible characters of ASCII. With an empty one no attempt to connect
    /// succeeds, either way.
    #[must_use]
    pub fn new(token: impl Into<Arc<str>>) -> Self {
        Self {
            token: Secret(token.into()),
            check_headers: false,
        }
    }

    /// Whether the token has to stand in the headers of the upgrade already. A dialer with a wrong one then gets status
    /// 403 instead of a reason. By default it hasn't to.
    #[must_use]
    pub fn check_headers(mut self, check: bool) -> Self {
        self.check_headers = check;
        self
    }

    fn make(&self) -> Result<String, AuthError> {
        if self.token.is_empty() {
            return Err(AuthError::new(EMPTY));
        }
        Ok(self.token.0.to_string())
    }

    fn compare(&self, token: &[u8]) -> Result<(), AuthError> {
        if self.token.is_empty() {
            Err(AuthError::new(EMPTY))
        } else if self.token.is(token) {
            Ok(())
        } else {
            Err(AuthError::new("invalid token"))
        }
    }
}

/// Can neither be shown nor compared but in constant time.
#[derive(Clone)]
struct Secret(Arc<str>);

impl Secret {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn is(&self, given: &[u8]) -> bool {
        same_token(given, self.0.as_bytes())
    }
}

impl Auth for StaticToken {
    fn token<'a>(&'a self, _: TokenContext<'a>) -> BoxFuture<'a, Result<String, AuthError>> {
        let token = self.make();
        Box::pin(async { token })
    }

    fn check<'a>(
        &'a self,
        token: &'a [u8],
        _: TokenContext<'a>,
    ) -> BoxFuture<'a, Result<(), AuthError>> {
        let outcome = self.compare(token);
        Box::pin(async { outcome })
    }

    fn check_headers<'a>(
        &'a self,
        headers: UpgradeHeaders<'a>,
    ) -> BoxFuture<'a, Result<(), AuthError>> {
        let outcome = match headers.bearer {
            _ if !self.check_headers => Ok(()),
            Some(token) => self.compare(token),
            None => Err(AuthError::new("no token in the headers")),
        };
        Box::pin(async { outcome })
    }
}

impl fmt::Debug for StaticToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StaticToken").finish_non_exhaustive()
    }
}

/// No proof at all: whoever reaches the port and knows a name of the grid belongs to it.
///
/// A node has no default, so an open grid has to say so.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoAuth;

impl Auth for NoAuth {
    fn token<'a>(&'a self, _: TokenContext<'a>) -> BoxFuture<'a, Result<String, AuthError>> {
        Box::pin(async { Ok(String::new()) })
    }

    fn check<'a>(
        &'a self,
        _: &'a [u8],
        _: TokenContext<'a>,
    ) -> BoxFuture<'a, Result<(), AuthError>> {
        Box::pin(async { Ok(()) })
    }
}

/// Whether two tokens are the same. Takes a time that depends on their lengths only, not on where they differ.
#[must_use]
pub fn same_token(given: &[u8], wanted: &[u8]) -> bool {
    #[cfg(test)]
    tests::COMPARED.with(|compared| compared.set(compared.get() + given.len()));
    // Of another length it is compared all the same, with itself, so that it takes no less.
    let other = if given.len() == wanted.len() {
        wanted
    } else {
        given
    };
    let same = given.ct_eq(other) & given.len().ct_eq(&wanted.len());
    same.into()
}

/// Whole seconds since 1970; none before it.
pub(crate) fn unix_seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    thread_local! {
        /// Bytes that were compared in constant time.
        pub(super) static COMPARED: Cell<usize> = const { Cell::new(0) };
    }

    /// A token is compared as a whole wherever it differs, by the one function that takes no shorter way.
    #[tokio::test]
    async fn h15_a_wrong_token_is_compared_to_its_end_unit() {
        let auth = StaticToken::new("secret").check_headers(true);
        let context = TokenContext::new("a", "b", SystemTime::UNIX_EPOCH);
        for (given, valid) in [
            ("Xecret", false),
            ("secreX", false),
            ("secret", true),
            ("", false),
            ("s", false),
            ("secret and more", false),
        ] {
            let before = COMPARED.get();
            assert_eq!(auth.check(given.as_bytes(), context).await.is_ok(), valid);
            assert_eq!(COMPARED.get() - before, given.len(), "{given}");
            let headers = UpgradeHeaders::new(Some(given.as_bytes()), None, SystemTime::UNIX_EPOCH);
            assert_eq!(Auth::check_headers(&auth, headers).await.is_ok(), valid);
            assert_eq!(COMPARED.get() - before, 2 * given.len(), "{given}");
        }
    }

    #[test]
    fn only_the_whole_token_is_the_same() {
        for (given, wanted, same) in [
            ("", "", true),
            ("a", "", false),
            ("", "a", false),
            ("secret", "secret", true),
            ("secret", "secreT", false),
            ("secre", "secret", false),
            ("secretsecret", "secret", false),
        ] {
            assert_eq!(
                same_token(given.as_bytes(), wanted.as_bytes()),
                same,
                "{given:?} {wanted:?}"
            );
        }
    }

    #[tokio::test]
    async fn headers_count_only_where_they_are_asked_for() {
        let now = SystemTime::UNIX_EPOCH;
        let without = UpgradeHeaders::new(None, None, now);
        let wrong = UpgradeHeaders::new(Some(b"wrong"), None, now);
        let right = UpgradeHeaders::new(Some(b"secret"), None, now);
        let lax = StaticToken::new("secret");
        assert!(Auth::check_headers(&lax, without).await.is_ok());
        assert!(Auth::check_headers(&lax, wrong).await.is_ok());
        let eager = lax.check_headers(true);
        assert!(Auth::check_headers(&eager, without).await.is_err());
        assert!(Auth::check_headers(&eager, wrong).await.is_err());
        assert!(Auth::check_headers(&eager, right).await.is_ok());
        assert!(!format!("{right:?}").contains("secret"));
    }

    #[tokio::test]
    async fn an_empty_token_is_none() {
        let auth = StaticToken::new("").check_headers(true);
        assert_eq!(auth.make().unwrap_err().reason(), EMPTY);
        for given in [b"".as_slice(), b"secret"] {
            assert_eq!(auth.compare(given).unwrap_err().reason(), EMPTY);
            let headers = UpgradeHeaders::new(Some(given), None, SystemTime::UNIX_EPOCH);
            assert!(Auth::check_headers(&auth, headers).await.is_err());
        }
    }

    #[tokio::test]
    async fn the_reason_gives_nothing_away() {
        let auth = StaticToken::new("secret");
        let error = auth
            .check(
                b"wrong",
                TokenContext::new("a", "b", SystemTime::UNIX_EPOCH),
            )
            .await
            .unwrap_err();
        assert_eq!(error.to_string(), "invalid token");
    }
}
