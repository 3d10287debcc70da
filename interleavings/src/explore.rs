//! Running a model in every order.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

/// How many interruptions are enough to find each planted fault.
const ENOUGH: usize = 2;

static SEARCHING: AtomicBool = AtomicBool::new(false);

/// From now on a fault is looked for that is there: with few interruptions it is found in a moment.
pub(crate) fn search() {
    SEARCHING.store(true, Ordering::Relaxed);
}

/// Runs `model` in every order of its steps, and says in how many. A thread that can't go on is a failure.
pub(crate) fn explore(model: impl Fn() + Send + Sync + 'static) -> usize {
    bounded(None, model)
}

/// As [`explore`], in every order in which threads are interrupted so often at most where they could go on: for models
/// that have too many others.
pub(crate) fn explore_to(preemptions: usize, model: impl Fn() + Send + Sync + 'static) -> usize {
    bounded(Some(preemptions), model)
}

fn bounded(preemptions: Option<usize>, model: impl Fn() + Send + Sync + 'static) -> usize {
    let histories = Arc::new(AtomicUsize::new(0));
    let count = histories.clone();
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = if SEARCHING.load(Ordering::Relaxed) {
        Some(ENOUGH)
    } else {
        preemptions
    };
    builder.max_branches = 10_000;
    builder.check(move || {
        count.fetch_add(1, Ordering::Relaxed);
        model();
    });
    histories.load(Ordering::Relaxed)
}
