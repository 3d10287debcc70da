//! JSON web tokens of the form that MinIO nodes show each other.

use std::{
    fmt,
    sync::Arc,
    time::{Duration, SystemTime},
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use futures_util::future::BoxFuture;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Map, Value};
use sha2::Sha512;

use crate::{
    auth::{Auth, AuthError, TokenContext, UpgradeHeaders, unix_seconds},
    secrets::{SecretError, Secrets},
};

/// The one algorithm: HMAC-SHA512 (RFC 7518 section 3.2).
const ALGORITHM: &str = "HS512";
const HEADER: &str = r#"{"alg":"HS512","typ":"JWT"}"#;
/// More than clocks may differ in a handshake, either way.
const LIFETIME: Duration = Duration::from_secs(15 * 60);
/// A number of seconds that everybody's clock can hold.
const LONGEST: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

/// JSON web tokens (RFC 7519) by an access key and a secret key: those that MinIO nodes exchange, so that a node of ours
/// can be given the same credentials as they have.
///
/// A token is signed with HS512 by the secret key. It says in `sub` and in `accessKey` for whom, which is the access key,
/// and in `exp` until when it is good, in whole seconds since 1970. Of others the same is asked: another algorithm is
/// refused, `none` above all, and so is a token without these three. How far `exp` may be is for the other node to say. A
/// time in `nbf` before which a token is not good is kept to; `aud`, `iat` and whatever else stands in one is not looked at.
/// Times are compared with this node's [wall clock](crate::Builder::wall_clock), to the second.
///
/// Whoever reads a token on the way can use it towards every node, under any name, until `exp`;
/// [`SharedSecret`](crate::SharedSecret) gives away less, where no MinIO node takes part. Neither keeps others from
/// reading or changing what goes over a connection: that takes TLS.
///
/// The secret key should be random, of 32 bytes; what people can remember, others can guess offline from one token.
///
/// ```
/// use grid_transport::{Jwt, Manager};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let manager = Manager::builder("http://10.0.0.1:9000")
///     .peers(["http://10.0.0.1:9000", "http://10.0.0.2:9000"])
///     .auth(Jwt::new("grid-admin", "rXWB0p0d4u1mEpZJmA2cYq0r4Q9t8s7h")?)
///     .build()?;
/// # drop(manager); Ok(()) }
/// ```
///
/// A grid can go from one secret key to another without a cut: by [`or`](Self::or), where its nodes are restarted one by
/// one with other keys, or by [`change`](Self::change), while they run and their links stay. A clone has the same keys, and
/// changes with it. Of MinIO nodes each accepts one key only, and a grid with some of them is cut while that is changed.
#[derive(Clone)]
pub struct Jwt {
    access_key: Arc<str>,
    secret_keys: Secrets,
    lifetime: Duration,
    check_headers: bool,
}

/// Why no tokens can be made with what was given.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum JwtError {
    /// There is no access key.
    #[error("the access key is empty")]
    EmptyAccessKey,
    /// There is no secret key, so that anybody could make tokens.
    #[error("the secret key is empty")]
    EmptySecretKey,
    /// Secret keys can't be used together.
    #[error("the secret keys can't be used: {0}")]
    SecretKeys(#[source] SecretError),
    /// Tokens can't be good for so long, or so short.
    #[error("a token's lifetime can't be {given:?}: it is from a second to 100 years")]
    Lifetime {
        /// What was to be set.
        given: Duration,
    },
}

impl Jwt {
    /// With these keys.
    ///
    /// # Errors
    ///
    /// When one of them is empty; the error says which.
    pub fn new(
        access_key: impl Into<Arc<str>>,
        secret_key: impl AsRef<[u8]>,
    ) -> Result<Self, JwtError> {
        let (access_key, secret_key) = (access_key.into(), secret_key.as_ref());
        if access_key.is_empty() {
            return Err(JwtError::EmptyAccessKey);
        }
        if secret_key.is_empty() {
            return Err(JwtError::EmptySecretKey);
        }
        Ok(Self {
            access_key,
            secret_keys: Secrets::new(secret_key),
            lifetime: LIFETIME,
            check_headers: false,
        })
    }

    /// Accepts tokens that were signed by this secret key as well, so that it can be changed without an outage, in the
    /// steps of [`SharedSecret::or`](crate::SharedSecret::or). At most four are accepted. Clones that were made before don't
    /// change with what this returns.
    ///
    /// ```
    /// use grid_transport::Jwt;
    ///
    /// let (old, new) = ("rXWB0p0d4u1mEpZJmA2cYq0r4Q9t8s7h", "Zk3vU8m2bT5xQ1nW7cR4yE9sL6aJ0dGf");
    /// let first = Jwt::new("grid-admin", old)?.or(new)?;
    /// let then = Jwt::new("grid-admin", new)?.or(old)?;
    /// let at_last = Jwt::new("grid-admin", new)?;
    /// # Ok::<_, grid_transport::JwtError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// When it is empty, or the fifth.
    pub fn or(mut self, secret_key: impl AsRef<[u8]>) -> Result<Self, JwtError> {
        let more = self.secret_keys.with(secret_key.as_ref());
        self.secret_keys = more.map_err(JwtError::SecretKeys)?;
        Ok(self)
    }

    /// From now on signs by the first of these secret keys, and accepts what was signed by any, from one to four: a step
    /// of a change without restarts, as [`SharedSecret::change`](crate::SharedSecret::change) shows. The node and all clones
    /// change together; connections that are up stay.
    ///
    /// # Errors
    ///
    /// When there is none, one is empty, or there are more than four; nothing changes then.
    pub fn change<S: AsRef<[u8]>>(
        &self,
        secret_keys: impl IntoIterator<Item = S>,
    ) -> Result<(), JwtError> {
        let changed = self.secret_keys.replace(secret_keys);
        changed.map_err(JwtError::SecretKeys)
    }

    /// How long a token of this node is good: 15 minutes by default, in whole seconds. Each attempt to connect has a new
    /// one, so it is to outlast no more than a handshake and by how much the two clocks differ.
    ///
    /// # Errors
    ///
    /// Below a second, or above 100 years.
    pub fn lifetime(mut self, lifetime: Duration) -> Result<Self, JwtError> {
        if lifetime < Duration::from_secs(1) || lifetime > LONGEST {
            return Err(JwtError::Lifetime { given: lifetime });
        }
        self.lifetime = lifetime;
        Ok(self)
    }

    /// Whether the token has to stand in the headers of the upgrade already, where it is checked as in the handshake. A
    /// dialer without a good one then gets status 403 instead of a reason. By default it hasn't to.
    #[must_use]
    pub fn check_headers(mut self, check: bool) -> Self {
        self.check_headers = check;
        self
    }

    fn make(&self, now: SystemTime) -> Result<String, AuthError> {
        let unusable = || AuthError::new("no token can be made with the keys");
        let name = serde_json::to_string(&*self.access_key).map_err(|_| unusable())?;
        let expiry = unix_seconds(now).saturating_add(self.lifetime.as_secs());
        // By hand, so that each field stands in its place whatever is chosen for JSON elsewhere in the program.
        let claims = format!(r#"{{"exp":{expiry},"sub":{name},"accessKey":{name}}}"#);
        let mut token = URL_SAFE_NO_PAD.encode(HEADER);
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(claims, &mut token);
        let secret_key = self.secret_keys.newest().ok_or_else(unusable)?;
        let signature = sign(&secret_key, &token).ok_or_else(unusable)?;
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(signature.finalize().into_bytes(), &mut token);
        Ok(token)
    }

    fn examine(&self, token: &[u8], now: SystemTime) -> Result<(), AuthError> {
        let parts = Parts::of(token).ok_or_else(|| AuthError::new("not a JSON web token"))?;
        if parts.header.get("alg").and_then(Value::as_str) != Some(ALGORITHM) {
            return Err(AuthError::new("the token is not signed with HS512"));
        }
        // RFC 7515 section 4.1.11: who does not know what stands there must not go on.
        if parts.header.contains_key("crit") {
            return Err(AuthError::new("the token asks for more than HS512 (crit)"));
        }
        let genuine = self.secret_keys.any(|secret_key| {
            sign(secret_key, parts.signed)
                .is_some_and(|mac| mac.verify_slice(&parts.signature).is_ok())
        });
        if !genuine {
            return Err(AuthError::new(
                "the token is signed with another secret key",
            ));
        }
        // Told only to who knows the secret key, or has a token that was good once.
        let claims = object(parts.claims)
            .ok_or_else(|| AuthError::new("the token's claims can't be read"))?;
        self.examine_claims(&claims, unix_seconds(now))
    }

    fn examine_claims(&self, claims: &Map<String, Value>, now: u64) -> Result<(), AuthError> {
        let expiry = claims
            .get("exp")
            .ok_or_else(|| AuthError::new("the token has no expiry (exp)"))?;
        let expiry = expiry.as_u64().ok_or_else(|| {
            AuthError::new("the token's expiry (exp) is no whole number of seconds")
        })?;
        if now >= expiry {
            return Err(AuthError::new(
                "the token has expired by this node's clock (exp)",
            ));
        }
        match claims.get("nbf") {
            None => {}
            Some(start) if start.as_u64().is_some_and(|start| start <= now) => {}
            Some(_) => {
                return Err(AuthError::new(
                    "the token is not good yet by this node's clock (nbf)",
                ));
            }
        }
        for (claim, missing, other) in [
            (
                "sub",
                "the token names no access key in sub",
                "the token is for another access key (sub)",
            ),
            (
                "accessKey",
                "the token names no access key in accessKey",
                "the token is for another access key (accessKey)",
            ),
        ] {
            match claims.get(claim).and_then(Value::as_str) {
                None => return Err(AuthError::new(missing)),
                Some(key) if key != &*self.access_key => return Err(AuthError::new(other)),
                Some(_) => {}
            }
        }
        Ok(())
    }
}

fn sign(secret_key: &[u8], text: &str) -> Option<Hmac<Sha512>> {
    let mut mac = Hmac::<Sha512>::new_from_slice(secret_key).ok()?;
    mac.update(text.as_bytes());
    Some(mac)
}

/// A token taken apart, of which nothing is known to be genuine.
struct Parts<'a> {
    header: Map<String, Value>,
    claims: &'a str,
    /// Both, as they were signed.
    signed: &'a str,
    signature: Vec<u8>,
}

impl<'a> Parts<'a> {
    fn of(token: &'a [u8]) -> Option<Self> {
        let (signed, signature) = std::str::from_utf8(token).ok()?.rsplit_once('.')?;
        let (header, claims) = signed.split_once('.')?;
        Some(Self {
            header: object(header)?,
            claims,
            signed,
            signature: URL_SAFE_NO_PAD.decode(signature).ok()?,
        })
    }
}

fn object(part: &str) -> Option<Map<String, Value>> {
    let json = URL_SAFE_NO_PAD.decode(part).ok()?;
    serde_json::from_slice(&json).ok()
}

impl Auth for Jwt {
    fn token<'a>(&'a self, context: TokenContext<'a>) -> BoxFuture<'a, Result<String, AuthError>> {
        let token = self.make(context.now);
        Box::pin(async { token })
    }

    fn check<'a>(
        &'a self,
        token: &'a [u8],
        context: TokenContext<'a>,
    ) -> BoxFuture<'a, Result<(), AuthError>> {
        let outcome = self.examine(token, context.now);
        Box::pin(async { outcome })
    }

    fn check_headers<'a>(
        &'a self,
        headers: UpgradeHeaders<'a>,
    ) -> BoxFuture<'a, Result<(), AuthError>> {
        let outcome = match headers.bearer {
            _ if !self.check_headers => Ok(()),
            Some(token) => self.examine(token, headers.now),
            None => Err(AuthError::new("no token in the headers")),
        };
        Box::pin(async { outcome })
    }
}

impl fmt::Debug for Jwt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Jwt")
            .field("secret_keys", &self.secret_keys.len())
            .field("lifetime", &self.lifetime)
            .field("check_headers", &self.check_headers)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
#[path = "jwt_tests.rs"]
mod tests;
