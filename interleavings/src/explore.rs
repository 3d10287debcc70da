//! Running a model in every order, or in every order within so many preemptions.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

/// How many interruptions are enough to find each planted fault.
const ENOUGH: usize = 2;

static SEARCHING: AtomicBool = AtomicBool::new(false);

/// From now on a fault is looked for that is there: with few interruptions it is found in a moment.
pub(crate) fn search() {
    SEARCHING.store(true, Ordering::Relaxed);
}

/// What was run of a model.
#[derive(Debug)]
pub(crate) struct Explored {
    histories: usize,
    /// How often threads were interrupted at most where they could go on; `None` for as often as there is a way to.
    preemptions: Option<usize>,
}

impl fmt::Display for Explored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} histories, ", self.histories)?;
        match self.preemptions {
            Some(bound) => write!(f, "every order within {bound} preemptions"),
            None => f.write_str("every order"),
        }
    }
}

/// Runs `model` in every order of its steps. A thread that can't go on is a failure.
pub(crate) fn explore(model: impl Fn() + Send + Sync + 'static) -> Explored {
    bounded(None, model)
}

/// As [`explore`], in every order in which threads are interrupted so often at most where they could go on: for models
/// that have too many others.
pub(crate) fn explore_to(preemptions: usize, model: impl Fn() + Send + Sync + 'static) -> Explored {
    bounded(Some(preemptions), model)
}

fn bounded(preemptions: Option<usize>, model: impl Fn() + Send + Sync + 'static) -> Explored {
    let histories = Arc::new(AtomicUsize::new(0));
    let count = histories.clone();
    let preemptions = if SEARCHING.load(Ordering::Relaxed) {
        Some(ENOUGH)
    } else {
        preemptions
    };
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = preemptions;
    builder.max_branches = 10_000;
    builder.check(move || {
        count.fetch_add(1, Ordering::Relaxed);
        model();
    });
    Explored {
        histories: histories.load(Ordering::Relaxed),
        preemptions,
    }
}
