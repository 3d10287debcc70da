//! What is checked: put together by `build.rs`.

#![allow(
    dead_code,
    unused,
    unreachable_pub,
    clippy::all,
    reason = "each check uses a part of the files that it is for, and a planted fault may leave code unused"
)]

use crate::explore::Explored;

/// One version of the files of a subject, with the checks for it.
#[derive(Debug)]
pub(crate) struct Variant {
    pub(crate) subject: &'static str,
    /// What is wrong with it; `shipped` where that should be nothing.
    pub(crate) fault: &'static str,
    /// Each explores all orders, or those within its bound, and says which and how many there were; it panics at the first
    /// that is wrong.
    pub(crate) checks: &'static [(&'static str, fn() -> Explored)],
}

include!(concat!(env!("OUT_DIR"), "/variants.rs"));
