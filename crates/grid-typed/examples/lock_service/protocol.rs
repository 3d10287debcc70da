//! What a lock server is asked and what it answers: the part that all nodes share.

use std::fmt;

use grid_typed::{HandlerId, Single};
use serde::{Deserialize, Serialize};

/// How a resource is locked: by any number of readers, or by one writer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    Read,
    Write,
}

/// Which lock is meant. Whose it is does not stand here: a server knows from the connection which
/// node asks, and believes nothing else.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Ask {
    pub(crate) resource: String,
    /// Drawn anew for each attempt, so that a server never takes what is left of one for another.
    pub(crate) uid: u64,
}

/// What one server says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Verdict {
    /// It was done: the lock is held now, or was released.
    Granted,
    /// It is locked, by this node.
    HeldBy(String),
    /// There is no such lock (any more) to be refreshed or released.
    NotHeld,
    /// The server has just started, and may have forgotten locks that are still held.
    Starting,
    /// The server holds as many locks as it may.
    Full,
    /// No resource has a name that long.
    NameTooLong,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Granted => f.write_str("granted"),
            Self::HeldBy(owner) => write!(f, "held by {owner}"),
            Self::NotHeld => f.write_str("not held"),
            Self::Starting => f.write_str("has just started"),
            Self::Full => f.write_str("holds too many locks"),
            Self::NameTooLong => f.write_str("the name is too long"),
        }
    }
}

/// What can be asked of a server: one handler each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Op {
    Lock(Mode),
    Unlock(Mode),
    /// Of either mode.
    Refresh,
    /// Throws out whoever holds the resource; the uid means nothing.
    ForceUnlock,
}

static LOCK: Single<Ask, Verdict> = Single::new(HandlerId::new(220));
static UNLOCK: Single<Ask, Verdict> = Single::new(HandlerId::new(221));
static RLOCK: Single<Ask, Verdict> = Single::new(HandlerId::new(222));
static RUNLOCK: Single<Ask, Verdict> = Single::new(HandlerId::new(223));
static REFRESH: Single<Ask, Verdict> = Single::new(HandlerId::new(224));
static FORCE_UNLOCK: Single<Ask, Verdict> = Single::new(HandlerId::new(225));

impl Op {
    pub(crate) const ALL: [Self; 6] = [
        Self::Lock(Mode::Write),
        Self::Unlock(Mode::Write),
        Self::Lock(Mode::Read),
        Self::Unlock(Mode::Read),
        Self::Refresh,
        Self::ForceUnlock,
    ];

    /// The handler, as both sides know it.
    pub(crate) fn definition(self) -> &'static Single<Ask, Verdict> {
        match self {
            Self::Lock(Mode::Write) => &LOCK,
            Self::Unlock(Mode::Write) => &UNLOCK,
            Self::Lock(Mode::Read) => &RLOCK,
            Self::Unlock(Mode::Read) => &RUNLOCK,
            Self::Refresh => &REFRESH,
            Self::ForceUnlock => &FORCE_UNLOCK,
        }
    }
}
