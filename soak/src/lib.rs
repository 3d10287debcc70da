//! Five nodes in five processes, random calls and streams of all kinds with checked content, and
//! everything that a network, a machine and a clock can do to them meanwhile.
//!
//! One process [orchestrates](orchestrate): it starts the nodes, stands between them as a
//! [proxy], plans the [faults](chaos) and passes the [verdict]. Each node is a
//! process of its own ([`node`]) that calls the others, checks what comes back, and reports.

#![warn(missing_docs)]

pub mod chaos;
pub mod child;
pub mod cluster;
pub mod enough;
pub mod namespaces;
pub mod node;
pub mod orchestrate;
pub mod pattern;
pub mod probe;
pub mod proxy;
pub mod rng;
pub mod tally;
pub mod verdict;
pub mod words;

/// The code of the guide for those who come from elsewhere. Here because no package that is published has the guide.
#[cfg(doctest)]
#[doc = include_str!("../../docs/migrating.md")]
struct Migrating;
