//! The real code of links and sessions over a simulated network that partitions, holds and
//! crashes, under virtual time. What is checked are promises 1, 2, 5 and 6 of `docs/scenarios.md`.
//!
//! A seed repeats the plan of faults and calls; the jitter of redials is drawn anew each time.

#![allow(
    clippy::print_stdout,
    reason = "how long it took is worth a look when a bound fails"
)]

mod caller;
mod histories;
mod net;
mod node;
mod noticing;
mod rng;
