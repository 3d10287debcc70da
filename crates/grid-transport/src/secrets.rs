//! The secrets that a grid changes between: one makes what is shown, and all of them check it.

use std::sync::Arc;

use parking_lot::RwLock;

/// A change needs two, and each is one more thing to compute for whoever shows a wrong token.
const MOST: usize = 4;

/// Why secrets can't be used together.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SecretError {
    /// There is none, so that no token could be made.
    #[error("there is no secret")]
    None,
    /// One of them has no bytes, so that anybody could make tokens.
    #[error("secret number {number} is empty")]
    Empty {
        /// Which, from 1.
        number: usize,
    },
    /// There are more than a node takes at a time.
    #[error("there are more than {most} secrets")]
    TooMany {
        /// How many it takes.
        most: usize,
    },
}

type Secret = Arc<[u8]>;

/// From one to [`MOST`] secrets; those of all clones change together.
#[derive(Clone)]
pub(crate) struct Secrets(Arc<RwLock<Arc<[Secret]>>>);

impl Secrets {
    pub(crate) fn new(secret: &[u8]) -> Self {
        Self::of(Arc::new([secret.into()]))
    }

    fn of(secrets: Arc<[Secret]>) -> Self {
        Self(Arc::new(RwLock::new(secrets)))
    }

    /// These and one more, apart from those of the clones.
    pub(crate) fn with(&self, secret: &[u8]) -> Result<Self, SecretError> {
        let all = self.all();
        let more = all.iter().map(|secret| &**secret).chain([secret]);
        Ok(Self::of(checked(more)?))
    }

    /// Puts others in their place, here and in all clones.
    pub(crate) fn replace<S: AsRef<[u8]>>(
        &self,
        secrets: impl IntoIterator<Item = S>,
    ) -> Result<(), SecretError> {
        // Before the lock: it is the caller's iterator.
        let secrets = checked(secrets)?;
        *self.0.write() = secrets;
        Ok(())
    }

    /// The one that makes tokens.
    pub(crate) fn newest(&self) -> Option<Secret> {
        self.0.read().first().cloned()
    }

    /// Whether one of them fits. All are tried, so that the time does not tell which does.
    pub(crate) fn any(&self, fits: impl Fn(&[u8]) -> bool) -> bool {
        let all = self.all();
        all.iter().fold(false, |any, secret| fits(secret) | any)
    }

    pub(crate) fn len(&self) -> usize {
        self.0.read().len()
    }

    fn all(&self) -> Arc<[Secret]> {
        self.0.read().clone()
    }
}

/// Takes no more than there may be, whatever it is given.
fn checked<S: AsRef<[u8]>>(
    secrets: impl IntoIterator<Item = S>,
) -> Result<Arc<[Secret]>, SecretError> {
    let mut taken: Vec<Secret> = Vec::with_capacity(MOST);
    for secret in secrets {
        if taken.len() == MOST {
            return Err(SecretError::TooMany { most: MOST });
        }
        let secret = secret.as_ref();
        if secret.is_empty() {
            let number = taken.len() + 1;
            return Err(SecretError::Empty { number });
        }
        taken.push(secret.into());
    }
    match taken.is_empty() {
        true => Err(SecretError::None),
        false => Ok(taken.into()),
    }
}

#[cfg(test)]
mod tests {
    use std::{cell::Cell, iter};

    use super::*;

    fn first(secrets: &Secrets) -> Vec<u8> {
        secrets.newest().unwrap().to_vec()
    }

    #[test]
    fn the_first_makes_tokens_and_all_are_tried_whichever_fits() {
        let secrets = Secrets::new(b"a").with(b"b").unwrap().with(b"c").unwrap();
        assert_eq!(first(&secrets), b"a");
        for fitting in ["a", "b", "c", "d"] {
            let tried = Cell::new(0);
            let any = secrets.any(|secret| {
                tried.set(tried.get() + 1);
                secret == fitting.as_bytes()
            });
            assert_eq!((any, tried.get()), (fitting != "d", 3), "{fitting}");
        }
    }

    #[test]
    fn clones_change_together_and_what_was_made_of_one_does_not() {
        let secrets = Secrets::new(b"old");
        let (clone, other) = (secrets.clone(), secrets.with(b"more").unwrap());
        secrets.replace(["new", "old"]).unwrap();
        assert_eq!((first(&clone), clone.len()), (b"new".to_vec(), 2));
        assert_eq!((first(&other), other.len()), (b"old".to_vec(), 2));
    }

    #[test]
    fn there_are_from_one_to_four_and_none_is_empty() {
        let secrets = Secrets::new(b"old");
        for (given, error) in [
            (vec![], SecretError::None),
            (vec!["a", ""], SecretError::Empty { number: 2 }),
            (vec!["a"; 5], SecretError::TooMany { most: 4 }),
        ] {
            assert_eq!(secrets.replace(given), Err(error));
            assert_eq!((first(&secrets), secrets.len()), (b"old".to_vec(), 1));
        }
        let endless = secrets.replace(iter::repeat("a"));
        assert_eq!(endless, Err(SecretError::TooMany { most: 4 }));
        secrets.replace(["a"; 4]).unwrap();
        let more = secrets.with(b"e").map(|more| more.len());
        assert_eq!(more, Err(SecretError::TooMany { most: 4 }));
        let empty = Secrets::new(b"a").with(b"").map(|more| more.len());
        assert_eq!(empty, Err(SecretError::Empty { number: 2 }));
    }
}
