//! What this process takes.

use std::{fmt, str::FromStr, thread, time::Duration};

use nix::sys::{
    resource::{Resource, UsageWho, getrlimit, getrusage, setrlimit},
    time::TimeValLike,
};

use crate::{ALLOCATOR, Fault};

/// Memory of a process.
#[derive(Clone, Copy)]
pub(crate) struct Memory {
    /// Bytes that are allocated and not freed.
    pub(crate) heap: usize,
    /// Allocations and reallocations so far.
    pub(crate) allocations: usize,
}

impl Memory {
    pub(crate) fn now() -> Self {
        let stats = ALLOCATOR.stats();
        Self {
            heap: stats
                .bytes_allocated
                .saturating_sub(stats.bytes_deallocated),
            allocations: stats.allocations + stats.reallocations,
        }
    }

    /// The same once what has just happened is over.
    pub(crate) fn at_rest() -> Self {
        rest(Duration::from_secs(2));
        Self::now()
    }

    /// Bytes of heap more than before, for each of so many.
    pub(crate) fn heap_each(self, before: Self, count: usize) -> f64 {
        each(before.heap, self.heap, count)
    }

    pub(crate) fn allocations_each(self, before: Self, count: usize) -> f64 {
        each(before.allocations, self.allocations, count)
    }
}

/// To be told to the other process.
impl fmt::Display for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.heap, self.allocations)
    }
}

impl FromStr for Memory {
    type Err = Fault;

    fn from_str(line: &str) -> Result<Self, Fault> {
        let numbers: Vec<usize> = line
            .split_whitespace()
            .map(str::parse)
            .collect::<Result<_, _>>()?;
        let [heap, allocations] = numbers.as_slice() else {
            return Err(format!("no figures: {line:?}").into());
        };
        Ok(Self {
            heap: *heap,
            allocations: *allocations,
        })
    }
}

/// Lets time pass, in which the runtime goes on.
pub(crate) fn rest(time: Duration) {
    // tidy: sleep: what is measured is what there is while nothing happens
    thread::sleep(time);
}

/// Processor time of all threads so far.
pub(crate) fn processor_time() -> Result<Duration, Fault> {
    let usage = getrusage(UsageWho::RUSAGE_SELF)?;
    let micros = (usage.user_time() + usage.system_time()).num_microseconds();
    Ok(Duration::from_micros(micros.try_into()?))
}

/// Lets this process have as many sockets as it may.
pub(crate) fn allow_many_sockets() -> Result<(), Fault> {
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE)?;
    Ok(setrlimit(Resource::RLIMIT_NOFILE, most, most)?)
}

#[allow(clippy::cast_precision_loss, reason = "far below 2^52")]
fn each(before: usize, after: usize, count: usize) -> f64 {
    (after as f64 - before as f64) / count as f64
}
