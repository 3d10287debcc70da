//! Tokens that prove that a node knows a secret, without showing it.

use std::{fmt, time::Duration};

use futures_util::future::BoxFuture;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::{
    auth::{Auth, AuthError, TokenContext, UpgradeHeaders, unix_seconds},
    secrets::{SecretError, Secrets},
};

/// What every token begins with, and what is authenticated: another scheme has another.
const SCHEME: &str = "grid1";
/// The most that clocks may differ, where nothing else is said.
const TOLERANCE: Duration = Duration::from_secs(300);
/// By an empty secret anybody could make tokens. Whoever is told learns nothing to get in by: nobody does.
const EMPTY: &str = "the secret of SharedSecret is empty, with which nobody gets in: give it one, or say NoAuth for an open grid";

/// A secret that all nodes of a grid know, and that none of them sends: a token is the HMAC-SHA256 (RFC 2104) of both
/// nodes' names and the time, by that secret.
///
/// Whoever reads a token on the way can use it, as often as they like, towards the node that it was made for, under the
/// name of the node that made it, in every grid of these two that has the same secret, and until it is too old. A
/// [`StaticToken`](crate::StaticToken) is good towards every node, under any name and for ever. Neither keeps others from
/// reading or changing what goes over a connection: that takes TLS. Both nodes must have the acceptor's name in the same
/// spelling.
///
/// A token has the form `grid1.SECONDS.MAC`: whole seconds since 1970 in decimal, and 64 hex digits.
///
/// The secret should be random, of 32 bytes; what people can remember, others can guess offline from one token.
///
/// ```
/// use grid_transport::{Manager, SharedSecret};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let secret = "rXWB0p0d4u1mEpZJmA2cYq0r4Q9t8s7h";
/// let manager = Manager::builder("http://10.0.0.1:9000")
///     .peers(["http://10.0.0.1:9000", "http://10.0.0.2:9000"])
///     .auth(SharedSecret::new(secret))
///     .build()?;
/// # drop(manager); Ok(()) }
/// ```
///
/// A grid can go from one secret to another without a cut: by [`or`](Self::or), where its nodes are restarted one by one
/// with other secrets, or by [`change`](Self::change), while they run and their links stay. A clone is the same secret, and
/// changes with it.
#[derive(Clone)]
pub struct SharedSecret {
    secrets: Secrets,
    tolerance: Duration,
}

impl SharedSecret {
    /// With this secret. One of no bytes makes no open grid, which says [`NoAuth`](crate::NoAuth): it makes no token and
    /// accepts none, and each attempt says why, until it is [changed](Self::change).
    #[must_use]
    pub fn new(secret: impl AsRef<[u8]>) -> Self {
        Self {
            secrets: Secrets::new(secret.as_ref()),
            tolerance: TOLERANCE,
        }
    }

    /// Accepts tokens that were made with this one as well, so that a secret can be changed without an outage: first all
    /// nodes accept the new one, then all make tokens with it, then none accepts the old one any more. At most four are
    /// accepted. Clones that were made before don't change with what this returns.
    ///
    /// ```
    /// use grid_transport::SharedSecret;
    ///
    /// let (old, new) = ("rXWB0p0d4u1mEpZJmA2cYq0r4Q9t8s7h", "Zk3vU8m2bT5xQ1nW7cR4yE9sL6aJ0dGf");
    /// let first = SharedSecret::new(old).or(new)?;
    /// let then = SharedSecret::new(new).or(old)?;
    /// let at_last = SharedSecret::new(new);
    /// # Ok::<_, grid_transport::SecretError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// When it or the one before has no bytes, or it is the fifth.
    pub fn or(mut self, secret: impl AsRef<[u8]>) -> Result<Self, SecretError> {
        self.secrets = self.secrets.with(secret.as_ref())?;
        Ok(self)
    }

    /// From now on makes tokens with the first of these, and accepts those that were made with any, from one to four: a
    /// step of a change without restarts. The node and all clones change together; connections that are up stay.
    ///
    /// ```
    /// use grid_transport::{Manager, SharedSecret};
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let (old, new) = ("rXWB0p0d4u1mEpZJmA2cYq0r4Q9t8s7h", "Zk3vU8m2bT5xQ1nW7cR4yE9sL6aJ0dGf");
    /// let secret = SharedSecret::new(old);
    /// let manager = Manager::builder("http://10.0.0.1:9000")
    ///     .peers(["http://10.0.0.1:9000", "http://10.0.0.2:9000"])
    ///     .auth(secret.clone())
    ///     .build()?;
    /// // Each step once all nodes have taken the one before it.
    /// secret.change([old, new])?;
    /// secret.change([new, old])?;
    /// secret.change([new])?;
    /// # drop(manager); Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// When there is none, one has no bytes, or there are more than four; nothing changes then.
    pub fn change<S: AsRef<[u8]>>(
        &self,
        secrets: impl IntoIterator<Item = S>,
    ) -> Result<(), SecretError> {
        self.secrets.replace(secrets)
    }

    /// How far a token's time may be from this node's, either way: five minutes by default, in whole seconds. A token is
    /// good for as long, and clocks may be apart as far.
    #[must_use]
    pub fn tolerance(mut self, tolerance: Duration) -> Self {
        self.tolerance = tolerance;
        self
    }

    fn make(&self, context: TokenContext<'_>) -> Result<String, AuthError> {
        let seconds = unix_seconds(context.now);
        let mac = self.secrets.newest().and_then(|secret| {
            let mac = mac(&secret, context.local, context.remote, seconds)?;
            Some(hex::encode(mac.finalize().into_bytes()))
        });
        let mac = mac.ok_or_else(|| AuthError::new(EMPTY))?;
        Ok(format!("{SCHEME}.{seconds}.{mac}"))
    }

    fn examine(&self, token: &[u8], context: TokenContext<'_>) -> Result<(), AuthError> {
        if self.secrets.newest().is_none_or(|secret| secret.is_empty()) {
            return Err(AuthError::new(EMPTY));
        }
        let (said, given) = parse(token).ok_or_else(|| AuthError::new("not a grid1 token"))?;
        // The other node made it, for this one.
        let genuine = self.secrets.any(|secret| {
            mac(secret, context.remote, context.local, said)
                .is_some_and(|mac| mac.verify_slice(&given).is_ok())
        });
        if !genuine {
            return Err(AuthError::new("invalid token"));
        }
        // Told only to who knows the secret.
        if unix_seconds(context.now).abs_diff(said) > self.tolerance.as_secs() {
            return Err(AuthError::new(
                "the token's time is too far from this node's",
            ));
        }
        Ok(())
    }
}

/// None for a secret of no bytes.
fn mac(secret: &[u8], from: &str, to: &str, seconds: u64) -> Option<Hmac<Sha256>> {
    if secret.is_empty() {
        return None;
    }
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).ok()?;
    mac.update(SCHEME.as_bytes());
    // With their lengths before them, so that no two pairs of names read the same.
    for name in [from, to] {
        mac.update(&(name.len() as u64).to_be_bytes());
        mac.update(name.as_bytes());
    }
    mac.update(&seconds.to_be_bytes());
    Some(mac)
}

fn parse(token: &[u8]) -> Option<(u64, [u8; 32])> {
    let rest = std::str::from_utf8(token).ok()?.strip_prefix(SCHEME)?;
    let (seconds, mac) = rest.strip_prefix('.')?.split_once('.')?;
    let mut bytes = [0; 32];
    hex::decode_to_slice(mac, &mut bytes).ok()?;
    let said: u64 = seconds.parse().ok()?;
    // Each token has one form.
    let is_plain =
        said.to_string() == seconds && !mac.bytes().any(|byte| byte.is_ascii_uppercase());
    is_plain.then_some((said, bytes))
}

impl Auth for SharedSecret {
    fn token<'a>(&'a self, context: TokenContext<'a>) -> BoxFuture<'a, Result<String, AuthError>> {
        let token = self.make(context);
        Box::pin(async { token })
    }

    fn check<'a>(
        &'a self,
        token: &'a [u8],
        context: TokenContext<'a>,
    ) -> BoxFuture<'a, Result<(), AuthError>> {
        let outcome = self.examine(token, context);
        Box::pin(async { outcome })
    }

    fn check_headers<'a>(
        &'a self,
        headers: UpgradeHeaders<'a>,
    ) -> BoxFuture<'a, Result<(), AuthError>> {
        // The headers don't say who dials, so no more can be told from them than that it might be one of us.
        let looks_right = headers.bearer.is_some_and(|token| parse(token).is_some());
        let outcome = if looks_right {
            Ok(())
        } else {
            Err(AuthError::new("no grid1 token in the headers"))
        };
        Box::pin(async { outcome })
    }
}

impl fmt::Debug for SharedSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedSecret")
            .field("secrets", &self.secrets.len())
            .field("tolerance", &self.tolerance)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::time::{SystemTime, UNIX_EPOCH};

    use super::*;

    const SECRET: &str = "rXWB0p0d4u1mEpZJmA2cYq0r4Q9t8s7h";
    const A: &str = "http://a:9000";
    const B: &str = "http://b:9000";

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(seconds)
    }

    /// The token that `A` shows to `B`.
    fn token(auth: &SharedSecret, seconds: u64) -> String {
        auth.make(TokenContext::new(A, B, at(seconds))).unwrap()
    }

    /// What `local` says of a token that `remote` shows.
    fn check(auth: &SharedSecret, token: &str, local: &str, remote: &str, now: u64) -> String {
        let context = TokenContext::new(local, remote, at(now));
        let outcome = auth.examine(token.as_bytes(), context);
        outcome.map_or_else(|error| error.reason().to_owned(), |()| "valid".to_owned())
    }

    /// Computed by another implementation (Python's `hmac`), so that maker and checker can't be wrong in the same way.
    #[test]
    fn a_token_is_the_mac_of_names_and_time() {
        let token = token(&SharedSecret::new(SECRET), 1_800_000_000);
        assert_eq!(
            token,
            "grid1.1800000000.e6510280ed636ea76597dafd2cec1f642a5d862b09d600a8ca630b5df18504c0"
        );
    }

    #[test]
    fn a_token_is_good_between_its_nodes_and_in_its_time_alone() {
        let auth = SharedSecret::new(SECRET);
        let now = 1_800_000_000;
        let token = token(&auth, now);
        assert_eq!(check(&auth, &token, B, A, now), "valid");
        for (local, remote) in [
            (A, B),
            (B, B),
            (A, A),
            (B, "http://c:9000"),
            ("http://c:9000", A),
        ] {
            assert_eq!(check(&auth, &token, local, remote, now), "invalid token");
        }
        let (limit, early) = (TOLERANCE.as_secs(), now - TOLERANCE.as_secs());
        for (at, valid) in [
            (now + limit, true),
            (now + limit + 1, false),
            (early, true),
            (early - 1, false),
            (0, false),
        ] {
            assert_eq!(check(&auth, &token, B, A, at) == "valid", valid, "{at}");
        }
        let strict = SharedSecret::new(SECRET).tolerance(Duration::from_secs(2));
        assert_eq!(check(&strict, &token, B, A, now + 2), "valid");
        assert_ne!(check(&strict, &token, B, A, now + 3), "valid");
    }

    #[test]
    fn nobody_without_the_secret_makes_a_token() {
        let auth = SharedSecret::new(SECRET);
        let now = 1_800_000_000;
        let good = token(&auth, now);
        let other = token(&SharedSecret::new("another secret"), now);
        assert_eq!(check(&auth, &other, B, A, now), "invalid token");
        let later = good.replacen("1800000000", "1800000001", 1);
        assert_eq!(check(&auth, &later, B, A, now), "invalid token");
        for changed in [
            "",
            "grid1",
            "grid1.",
            "grid1..",
            "grid1.1800000000",
            "grid1.1800000000.",
            &good[..good.len() - 1],
            &format!("{good}0"),
            &good.replacen("grid1", "grid2", 1),
            &good.replacen('.', "..", 1),
            &good.replacen('.', ".+", 1),
            &good.replacen('.', ".0", 1),
            &good.replace("e6", "E6"),
        ] {
            assert_eq!(
                check(&auth, changed, B, A, now),
                "not a grid1 token",
                "{changed}"
            );
        }
        // A name that runs into the other is not the same pair.
        let context = TokenContext::new("http://a:9000h", "ttp://b:9000", at(now));
        let shifted = auth.make(context).unwrap();
        assert_eq!(check(&auth, &shifted, B, A, now), "invalid token");
    }

    #[test]
    fn a_secret_can_be_changed_node_by_node() {
        let (old, new) = (SharedSecret::new("old"), SharedSecret::new("new"));
        let both = SharedSecret::new("new").or("old").unwrap();
        let now = 1_800_000_000;
        for (from, to, valid) in [
            (&old, &both, true),
            (&new, &both, true),
            (&both, &new, true),
            (&both, &old, false),
            (&old, &new, false),
        ] {
            assert_eq!(check(to, &token(from, now), B, A, now) == "valid", valid);
        }
    }

    #[test]
    fn without_a_secret_nobody_is_in() {
        let auth = SharedSecret::new("");
        let context = TokenContext::new(A, B, at(1));
        let error = auth.make(context).unwrap_err();
        assert_eq!(error.reason(), EMPTY);
        let forged = format!("grid1.1.{}", "0".repeat(64));
        for given in [&forged, ""] {
            assert_eq!(check(&auth, given, B, A, 1), EMPTY);
        }
        // Nor does an empty one beside another let anybody in.
        let error = SharedSecret::new(SECRET).or("").unwrap_err();
        assert_eq!(error, SecretError::Empty { number: 2 });
        let error = auth.or(SECRET).unwrap_err();
        assert_eq!(error, SecretError::Empty { number: 1 });
    }

    #[test]
    fn the_secret_is_not_shown() {
        let shown = format!("{:?}", SharedSecret::new(SECRET));
        assert!(!shown.contains("rXWB"), "{shown}");
        assert!(!shown.contains("114"), "{shown}");
    }

    #[tokio::test]
    async fn headers_have_to_look_right() {
        let auth = SharedSecret::new(SECRET);
        let good = token(&auth, 1);
        for (bearer, wanted) in [
            (Some(good.as_bytes()), true),
            (Some(b"secret".as_slice()), false),
            (None, false),
        ] {
            let headers = UpgradeHeaders::new(bearer, None, UNIX_EPOCH);
            assert_eq!(auth.check_headers(headers).await.is_ok(), wanted);
        }
    }
}
