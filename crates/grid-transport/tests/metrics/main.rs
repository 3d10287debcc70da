#![cfg(feature = "metrics")]
//! What a node tells the recorder of the facade `metrics`, as an exporter shows it, and what is documented of it.

#![allow(
    clippy::print_stdout,
    reason = "a test that has nothing to compare with says so"
)]

#[path = "../common/node.rs"]
mod node;
#[path = "../probe/mod.rs"]
mod probe;
#[path = "../common/raw.rs"]
mod raw;

mod again;
mod dashboard;
mod documented;
mod scrape;
mod values;
