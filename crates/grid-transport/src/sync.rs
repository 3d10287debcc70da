//! What the few files with synchronisation of their own are made of.
//!
//! They import it from here and nowhere else, so that `interleavings/` can compile the very same files with types of a
//! model checker in place of these ([decision 8]).
//!
//! [decision 8]: https://github.com/grid-rs/grid/blob/main/docs/decisions/0008-interleavings-are-checked-on-the-shipped-files.md

pub(crate) use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

/// An `Arc` whose count decides something: models run its steps in every order, which they do of no other.
pub(crate) use std::sync::Arc as Counted;

pub(crate) use parking_lot::{Mutex, MutexGuard};
pub(crate) use tokio::sync::Notify;
pub(crate) use tokio_util::sync::CancellationToken;
