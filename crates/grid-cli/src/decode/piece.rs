//! What is found in one direction of a connection.

use bytes::Bytes;

use super::head::Head;

/// Something that was found.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Found {
    /// Where it begins, in bytes from the start of the direction.
    pub(super) at: u64,
    pub(super) what: Piece,
}

/// What was found.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Piece {
    Head(Head),
    /// A binary message; `lost` bytes of its end are missing.
    Message {
        bytes: Bytes,
        lost: u64,
    },
    Text(Bytes),
    Close(Bytes),
    Ping(Bytes),
    Pong(Bytes),
    Damage {
        reason: String,
        skipped: u64,
    },
}
