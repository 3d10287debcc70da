//! The rows L01 to L28 of `docs/scenarios.md`: links that do not come up, are lost, and come back.

#[path = "../common/held.rs"]
mod held;
#[path = "../common/logs.rs"]
mod logs;
#[path = "../common/memory.rs"]
mod memory;
#[path = "../common/node.rs"]
mod node;
#[path = "../probe/mod.rs"]
mod probe;
#[path = "../common/raw.rs"]
mod raw;
#[path = "../common/recorded.rs"]
mod recorded;
#[path = "../common/scale.rs"]
mod scale;

mod accepting;
mod behind;
mod calls;
mod counters;
mod crowd;
mod edges;
mod fuse;
mod handshakes;
mod late;
mod lost;
mod many;
mod mounted;
mod names;
mod redial;
mod refused;
mod relay;
mod resolving;
mod scene;
mod silent;
mod slow;
mod storm;
mod stuck;
mod two_grids;
