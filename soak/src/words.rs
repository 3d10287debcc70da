//! What the orchestrator and the nodes say to each other, a JSON object a line.

use std::{collections::BTreeMap, net::SocketAddr};

use serde::{Deserialize, Serialize};

use crate::tally::Counts;

/// What a node is told first.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Birth {
    /// Which of the names is its own.
    pub index: usize,
    /// How often a node of this name was started before.
    pub generation: u64,
    /// The names of all nodes.
    pub names: Vec<String>,
    /// What its calls are drawn from.
    pub seed: u64,
    /// Where it listens; the port is the system's choice.
    pub listen: SocketAddr,
    /// Where a node that it dials is reached: a port of the proxy.
    pub dial: BTreeMap<String, SocketAddr>,
    /// What its clock is wrong by, in milliseconds.
    pub skew_ms: i64,
}

/// What a node is told later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Order {
    /// Make calls.
    Work,
    /// Make no more, let those under way end, and then report.
    Rest,
    /// Be wrong about the time by so many milliseconds.
    Skew(i64),
    /// Shut down and end.
    End,
}

/// What a node says.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Word {
    /// It listens, and is ready for orders.
    Listening(SocketAddr),
    /// How many of its links are up, of how many; said when it changes.
    Links(usize, usize),
    /// What it has counted since it was started.
    Counts(Box<Counts>),
    /// It has no calls under way, and this is what is left.
    Resting(Rest),
    /// Something that must never be.
    Wrong(Wrong),
    /// It has shut down; whether all was at its end by then.
    Ended(bool),
}

/// What is left in a node that rests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rest {
    /// How often a node of this name was started before.
    pub life: u64,
    /// Calls of the node that are open.
    pub open: u64,
    /// Calls of others that it serves.
    pub serving: u64,
    /// Handlers that run.
    pub handlers: u64,
    /// Bytes that wait to be written.
    pub queued: u64,
    /// Tasks that are alive.
    pub tasks: u64,
    /// Bytes allocated and not freed.
    pub heap: u64,
    /// Bytes of memory that the process has.
    pub resident: u64,
}

/// A promise that was broken.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Wrong {
    /// Which one.
    pub kind: Broken,
    /// What it was, for those who look for the reason.
    pub what: String,
}

/// The promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Broken {
    /// An answer, item or error is not the one that should have come.
    WrongAnswer,
    /// A stream came to a clean end, and items are missing.
    LostItem,
    /// A call went on after its deadline.
    Late,
    /// A call did not end at all.
    Hung,
    /// Something was left behind.
    Left,
    /// A process ended, or did not, against the plan.
    Process,
    /// A link did not come back.
    Link,
    /// The run has not done what would show that promises are kept.
    Shown,
}

impl Broken {
    /// All of them, in the order of the table.
    pub const ALL: [Self; 8] = [
        Self::WrongAnswer,
        Self::LostItem,
        Self::Late,
        Self::Hung,
        Self::Left,
        Self::Process,
        Self::Link,
        Self::Shown,
    ];

    /// As the table has it.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::WrongAnswer => "wrong answers",
            Self::LostItem => "lost items",
            Self::Late => "calls past their deadline",
            Self::Hung => "calls that hung",
            Self::Left => "left behind",
            Self::Process => "processes that misbehaved",
            Self::Link => "links that did not come back",
            Self::Shown => "things that were not shown",
        }
    }
}
