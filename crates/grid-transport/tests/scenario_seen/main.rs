//! The rows T01 to T05 of `docs/scenarios.md`: what a node shows of itself and of its calls.

#[path = "../common/logs.rs"]
mod logs;
#[path = "../common/node.rs"]
mod node;
#[path = "../probe/mod.rs"]
mod probe;
#[path = "../common/raw.rs"]
mod raw;

mod calm;
mod checks;
mod documented;
mod dropped;
mod forged;
mod links;
mod long;
mod numbers;
mod record;
mod spans;
