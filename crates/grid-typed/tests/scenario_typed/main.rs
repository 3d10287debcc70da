//! Rows C19, C21 and C22 of `docs/scenarios.md` with typed values, over TCP. What shows the same
//! rows in memory stands with `faults`, `compat_types` and `registration`.

#[path = "../common/mod.rs"]
mod common;

mod faults;
mod nodes;
mod registration;
mod values;
