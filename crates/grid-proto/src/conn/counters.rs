//! What a connection has seen, in numbers.

/// Counts since the connection was made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counters {
    /// Messages received, each of a merged one for itself.
    pub messages_in: u64,
    /// Messages handed out to be sent.
    pub messages_out: u64,
    /// Calls of the peer that were refused.
    pub refused: u64,
    /// Messages for a mux that is not open, whatever was answered.
    pub unknown_mux: u64,
    /// Streams opened under a number that was open already.
    pub duplicate_mux: u64,
    /// Messages of an unknown op, nested merges, and others that are ignored.
    pub ignored: u64,
    /// Answers for which nobody waited any more.
    pub discarded_answers: u64,
    /// Credit beyond the capacity of a stream, and second acks.
    pub excess_credit: u64,
}

impl Counters {
    /// A message may bring as many as 32 bits count.
    pub(super) fn exceeded(&mut self, excess: u32) {
        self.excess_credit = self.excess_credit.saturating_add(excess.into());
    }
}
