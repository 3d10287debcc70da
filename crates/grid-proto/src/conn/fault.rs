//! Faults planted in the machine, one at a time: what the simulation is worth is how fast it finds each.

/// A fault to plant; see `Config::fault`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// Every eighth credit that the caller's side owes is forgotten.
    CreditLost,
    /// Every credit that the handler's side owes is sent twice.
    CreditTwice,
    /// The message that ends the input of a stream goes before the items that wait.
    EofOvertakesItem,
    /// An answer of an earlier connection is sent on this one.
    AnswerAcrossGenerations,
    /// A stream ping doesn't count as a message.
    WrongSeqAfterPing,
    /// Credit that comes when none was left wakes nobody.
    MissedWake,
    /// A stream whose connection is lost ends clean.
    CleanEndOnClose,
    /// The handler's side sends one item more than its credit allows.
    CapacityOffByOne,
    /// A handler that returns when no credit is left never ends its stream.
    HeldEndForgotten,
    /// A stream that takes items is not acknowledged.
    AckForgotten,
    /// A cancelled stream is not cancelled on the other node.
    CancelNotSent,
    /// A request whose deadline passed on the serving side is never forgotten.
    ServedLeaks,
    /// What the handler of a stream of an earlier connection sends goes out on the stream that has its number now.
    StaleHandler,
    /// Two items change places.
    ItemsSwapped,
    /// An item of a stream is delivered twice.
    ItemTwice,
    /// An item of a stream is dropped when the reader has not kept up.
    ItemDropped,
    /// The error that ended a handler is sent as a clean end.
    ErrorAsCleanEnd,
    /// The deadline of a stream is not watched.
    DeadlineIgnored,
    /// The timer of an ended call stays.
    TimerLeaks,
    /// An answer to a cancelled request is taken for that of the request after it.
    AnswerToNeighbour,
    /// Credit is counted for a peer that doesn't know that.
    CreditCounted,
}

impl Fault {
    /// All of them.
    pub const ALL: [Self; 21] = [
        Self::CreditLost,
        Self::CreditTwice,
        Self::EofOvertakesItem,
        Self::AnswerAcrossGenerations,
        Self::WrongSeqAfterPing,
        Self::MissedWake,
        Self::CleanEndOnClose,
        Self::CapacityOffByOne,
        Self::HeldEndForgotten,
        Self::AckForgotten,
        Self::CancelNotSent,
        Self::ServedLeaks,
        Self::StaleHandler,
        Self::ItemsSwapped,
        Self::ItemTwice,
        Self::ItemDropped,
        Self::ErrorAsCleanEnd,
        Self::DeadlineIgnored,
        Self::TimerLeaks,
        Self::AnswerToNeighbour,
        Self::CreditCounted,
    ];
}
