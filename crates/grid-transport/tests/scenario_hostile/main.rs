//! Rows H01 to H16 of `docs/scenarios.md` over real sockets, but for those that watch memory: these are in
//! `scenario_memory`, where an allocator counts.

#[path = "../common/hostile.rs"]
mod hostile;
#[path = "../common/logs.rs"]
mod logs;
#[path = "../common/memory.rs"]
mod memory;
#[path = "../common/node.rs"]
mod node;
#[path = "../common/raw.rs"]
mod raw;
#[path = "../common/scale.rs"]
mod scale;

mod calls;
mod door;
mod floods;
mod lag;
mod messages;
mod streams;
