//! Every limit of a node at one below it, at it, and at one above it, over the wire from a raw peer.
//!
//! Most sizes and counts are tried at small stand-ins for the defaults, in every run: the code compares with the setting,
//! whatever it is, and that the setting has its default is tested in `defaults`.
//!
//! | setting | here | at the same three values without a socket |
//! | --- | --- | --- |
//! | all defaults | `defaults` | |
//! | `max_message` | `sizes`: whole, in fragments, inside a merged one; answers and calls of ours | `grid-proto` `machine/sizes.rs` |
//! | `max_handshake_message`, `max_head`, `merge_limit` | `sizes` | |
//! | `read_chunk` | `sizes`, and what is read at once in `reading` | |
//! | `max_handshakes` | `counts` | H16 |
//! | `max_requests`, `max_streams` | `counts`; of our own calls `ours` | `machine/limits.rs` |
//! | `max_handlers`, `max_blocking` | `counts` | |
//! | `max_queued`, `max_queued_node` | `bytes` | `machine/limits.rs` |
//! | `max_inbound`, `max_inbound_node` | `bytes`; by items of streams `unread`, by answers `answers` | `machine/limits.rs` |
//! | `max_control` | `control`, while the clock stands still | `machine/limits.rs` |
//! | `max_unknown`, `max_leftovers` | `abuse` | `machine/abuse.rs` |
//! | `handshake_timeout` (both sides), `dial_timeout`, `write_timeout`, `ping_interval`, `default_deadline`, `room_timeout`, `replace_after` | `times`: byte streams in memory and a clock that stands still, where a millisecond is a millisecond | `machine/alive.rs`, `machine/deadlines.rs` |
//! | `max_clock_skew` | `times`, to the nanosecond | `grid-proto` `conn/handshake_tests.rs` |
//! | `stream_ping_interval` | `times` | `machine/alive.rs` |
//! | `teardown` | `teardown`: whether a handler that blocks its thread comes out in time; at the three values beside it | `session/run.rs` |
//! | `redial_at_once_after`, `redial_jitter`, `redial_interval`, `redial_patience`, `redial_max` | `redial` | `link/backoff.rs`, exactly |
//! | `redial_rate` | it takes a hundred remotes | `link/backoff.rs`, exactly |
//! | `replace_max`, `max_remembered` | `again` | `link/accept_tests.rs`, `link/replay.rs` |
//! | `first_mux` | `numbers` | |
//! | `warn_interval` | `again`; rows H01, H10, H11 | `limiter.rs`, exactly |
//! | `in_place_time`, `in_place_handlers`, `slow_poll` | no peer meets them | `session/tests.rs` |

#[path = "../common/hostile.rs"]
mod hostile;
#[path = "../common/logs.rs"]
mod logs;
#[path = "../common/node.rs"]
mod node;
#[path = "../common/raw.rs"]
mod raw;

mod abuse;
mod again;
mod answers;
mod bytes;
mod control;
mod counts;
mod defaults;
mod numbers;
mod ours;
mod reading;
mod redial;
mod sizes;
mod teardown;
mod times;
mod told;
mod unread;
mod wire;

/// One below a limit, it, and one above.
fn around(limit: usize) -> [usize; 3] {
    [limit - 1, limit, limit + 1]
}
