//! The error texts by which nodes end calls (protocol sections 6 to 8).
//!
//! They are for people: what a message means is said by its op and flags.

/// The peer, or the connection to it, is gone.
pub const REMOTE_DISCONNECTED: &str = "remote disconnected";
/// A stream that takes no input, or whose input has ended, got an item.
pub const UNEXPECTED_INPUT: &str = "did not expect inbound message";
/// A stream got more items than it gave credit for.
pub const HANDLER_BLOCKED: &str = "handler blocked";
/// The mux of a ping isn't there, or is ending.
pub const REMOTE_TERMINATED: &str = "remote terminated call";
/// An answer or item came with the wrong sequence number.
pub const OUT_OF_SEQUENCE: &str = "out-of-sequence item received";

/// A message came with sequence number `got` where `want` was due.
///
/// ```
/// let text = grid_proto::wire::stream_text::sequence_mismatch(1, 5);
/// assert_eq!(text, "receive sequence number mismatch. want 1, got 5");
/// ```
#[must_use]
pub fn sequence_mismatch(want: u32, got: u32) -> String {
    format!("receive sequence number mismatch. want {want}, got {got}")
}
