//! Rows C01 to C24 of `docs/scenarios.md`: what a call or stream comes to, over TCP and in memory.
//!
//! Most bodies take two nodes and don't know what is between them; what ends in `_pair` runs them
//! under a paused clock, where times are exact.

#[path = "../common/held.rs"]
mod held;
#[path = "../common/node.rs"]
mod node;
#[path = "../probe/mod.rs"]
mod probe;
#[path = "../common/raw.rs"]
mod raw;
#[path = "../common/scale.rs"]
mod scale;

mod nodes;
mod peer;
mod watch;

mod cancels;
mod capacities;
mod cuts;
mod deadlines;
mod empty;
mod ends;
mod handlers;
mod many;
mod mesh;
mod panics;
mod payloads;
mod registration;
mod routes;
mod side_by_side;
mod slow;
mod unread;
