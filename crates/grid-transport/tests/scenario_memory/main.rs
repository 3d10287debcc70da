//! What a hostile peer can make a node hold, by an allocator that counts, and what it can cost other peers.
//!
//! Everything in here watches the process, so each test has it to itself.

#![allow(
    clippy::print_stdout,
    reason = "what was measured stands in the output of the test"
)]

#[path = "../common/hostile.rs"]
mod hostile;
#[path = "../common/node.rs"]
mod node;
#[path = "../common/raw.rs"]
mod raw;
#[path = "../common/scale.rs"]
mod scale;

mod bulk;
mod crowds;
mod figure;
mod idle;
mod loads;
mod sending;
mod shapes;
mod watch;

use std::{
    alloc::System,
    future::Future,
    sync::{Mutex, MutexGuard, PoisonError},
};

use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Has the process to itself for as long as it lives.
fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs a test while no other runs in this process.
fn alone<R>(test: impl Future<Output = R>) -> R {
    let _turn = turn();
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap()
        .block_on(test)
}
