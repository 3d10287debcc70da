//! Many histories: seed after seed, on all processors, and what the first that goes wrong is shrunk to.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    rc::Rc,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};

use crate::{
    coverage::Coverage,
    history::History,
    run::{Report, run},
    shrink::shrink,
    world::{Outcome, Tune},
};

/// What histories came to.
#[derive(Default)]
pub(crate) struct Sum {
    pub(crate) seen: Coverage,
    /// Operations, cuts and streams of each.
    pub(crate) sizes: Vec<[usize; 3]>,
}

impl Sum {
    fn add(&mut self, report: &Report) {
        self.seen.merge(&report.seen);
        self.sizes
            .push([report.operations, report.cuts, report.streams]);
    }

    /// The medians of operations, cuts and streams.
    pub(crate) fn medians(&self) -> [usize; 3] {
        [0, 1, 2].map(|which| {
            let mut sizes: Vec<usize> = self.sizes.iter().map(|sizes| sizes[which]).collect();
            sizes.sort_unstable();
            sizes.get(sizes.len() / 2).copied().unwrap_or(0)
        })
    }
}

/// The processor time that this process has used so far, where the system tells; on a machine that others use too, it
/// says more than the time that passed.
pub(crate) fn processor_seconds() -> Option<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    let (_, fields) = stat.rsplit_once(')')?;
    let mut times = fields.split_whitespace().skip(11);
    let ticks: f64 = times.next()?.parse::<f64>().ok()? + times.next()?.parse::<f64>().ok()?;
    Some(ticks / 100.0)
}

/// Nothing is changed in any machine.
pub(crate) fn nothing() -> Tune {
    Rc::new(|_| {})
}

/// Runs a history; a panic is a broken promise like any other.
pub(crate) fn outcome(history: &History, tune: &Tune) -> Outcome {
    let tune = Rc::clone(tune);
    let ran = catch_unwind(AssertUnwindSafe(|| run(history, tune, false).outcome));
    ran.unwrap_or_else(|panic| Err(panic_text(panic.as_ref())))
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
    format!("a panic: {}", text.unwrap_or("of no words"))
}

/// Prints the history of a seed that went wrong, as small as it still goes wrong in the same way, and gives up.
pub(crate) fn report(seed: u64, why: &str) -> ! {
    let history = History::new(seed);
    let tune = nothing();
    // One that panics does so again and again while it is shrunk.
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let (small, reason) = shrink(history, why, &|history| outcome(history, &tune));
    std::panic::set_hook(hook);
    println!("{small}");
    let ran = catch_unwind(AssertUnwindSafe(|| run(&small, nothing(), true)));
    if let Ok(again) = ran {
        let from = again.trace.len().saturating_sub(300);
        println!("{}", again.trace[from..].join("\n"));
    }
    panic!(
        "seed {seed}: {why}\nshrunk to the {} steps above: {reason}\nrun it again with GRID_SIM_SEED={seed}",
        small.steps.len()
    );
}

/// Runs the seeds from `from` on, `count` of them, on as many threads.
pub(crate) fn run_all(from: u64, count: u64, threads: usize) -> Sum {
    let next = AtomicU64::new(from);
    let end = from + count;
    let done: Vec<_> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|_| scope.spawn(|| work(&next, end)))
            .collect();
        workers
            .into_iter()
            .map(|worker| worker.join().expect("a worker that ends"))
            .collect()
    });
    let mut sum = Sum::default();
    let mut broken: Vec<(u64, String)> = Vec::new();
    for result in done {
        match result {
            Ok(part) => {
                sum.seen.merge(&part.seen);
                sum.sizes.extend(part.sizes);
            }
            Err(one) => broken.push(one),
        }
    }
    if let Some((seed, why)) = broken.iter().min() {
        report(*seed, why);
    }
    sum
}

/// Takes one seed after the other, until there are no more or one goes wrong.
fn work(next: &AtomicU64, end: u64) -> Result<Sum, (u64, String)> {
    let mut sum = Sum::default();
    loop {
        let seed = next.fetch_add(1, Relaxed);
        if seed >= end {
            return Ok(sum);
        }
        let history = History::new(seed);
        let ran = catch_unwind(AssertUnwindSafe(|| run(&history, nothing(), false)));
        let failed = match &ran {
            Ok(report) => report.outcome.clone().err(),
            Err(panic) => Some(panic_text(panic.as_ref())),
        };
        if let Some(why) = failed {
            next.fetch_max(end, Relaxed);
            return Err((seed, why));
        }
        if let Ok(report) = ran {
            sum.add(&report);
        }
    }
}
