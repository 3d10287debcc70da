//! What the parent and a node of the demo say to each other: one JSON value a line, over the
//! node's stdin and stdout. Nothing of it travels over the grid that is being watched.

use std::{collections::BTreeMap, net::SocketAddr, path::PathBuf, time::SystemTime};

use serde::{Deserialize, Serialize};

/// From the parent to a node.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum ToNode {
    /// What to be; the first message.
    Setup(Setup),
    /// Begin to fetch: everybody is connected.
    Start,
    /// End with the pass that is running, and report.
    Finish,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Setup {
    /// Which of the names is the node's own.
    pub(super) index: usize,
    pub(super) names: Vec<String>,
    /// Where the proxies stand that lead to the nodes that this one dials.
    pub(super) dial: BTreeMap<String, SocketAddr>,
    pub(super) dir: PathBuf,
    /// When the demo began: what changed on the disk later may differ between nodes.
    pub(super) began: SystemTime,
    pub(super) ping_ms: u64,
    pub(super) stream_ping_ms: u64,
}

/// From a node to the parent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum FromNode {
    /// The node has bound its listener to this port of 127.0.0.1.
    Bound { port: u16 },
    /// The node reads the tree.
    Walking { files: u64 },
    /// The node has read the tree.
    Walked {
        files: u64,
        bytes: u64,
        skipped: u64,
    },
    /// The link to a peer came up, or was lost.
    Link { peer: usize, up: bool, why: String },
    /// The node's counts so far, by peer.
    Tally(Vec<PeerTally>),
    /// Something that a person should read.
    Note(String),
    /// The node can't go on.
    Failed(String),
    /// The last message: the final counts, and what the links say of themselves.
    Done {
        tally: Vec<PeerTally>,
        links: Vec<LinkFacts>,
    },
}

/// What a node has done with one peer since the start. Counts only grow.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct PeerTally {
    /// Whole passes over the peer's tree.
    pub(super) passes: u64,
    /// Files that were read whole and compared.
    pub(super) files: u64,
    /// Bytes of the files that were compared.
    pub(super) bytes: u64,
    /// Single requests that were answered.
    pub(super) requests: u64,
    /// Items of streams that arrived.
    pub(super) items: u64,
    /// Requests that were open when the connection ended.
    pub(super) calls_interrupted: u64,
    /// Streams that were open when the connection ended.
    pub(super) streams_interrupted: u64,
    /// Files that changed on the disk meanwhile.
    pub(super) changed: u64,
    /// Files that were not what they should have been.
    pub(super) mismatches: u64,
    /// Failed attempts by kind of error; all of them were made again.
    pub(super) errors: BTreeMap<String, u64>,
    /// Files of the running pass that are done, and all of them.
    pub(super) pass_done: u64,
    pub(super) pass_files: u64,
}

impl PeerTally {
    /// What a wait for progress watches: it grows with everything that succeeds.
    pub(super) fn progress(&self) -> u64 {
        self.requests + self.items + self.files + self.passes
    }

    /// Adds the counts of another; those of a running pass too.
    pub(super) fn add(&mut self, other: &Self) {
        self.passes += other.passes;
        self.files += other.files;
        self.bytes += other.bytes;
        self.requests += other.requests;
        self.items += other.items;
        self.calls_interrupted += other.calls_interrupted;
        self.streams_interrupted += other.streams_interrupted;
        self.changed += other.changed;
        self.mismatches += other.mismatches;
        self.pass_done += other.pass_done;
        self.pass_files += other.pass_files;
        for (kind, count) in &other.errors {
            *self.errors.entry(kind.clone()).or_default() += count;
        }
    }
}

/// What a link says of itself at the end.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct LinkFacts {
    pub(super) connected: bool,
    pub(super) round_trip_us: Option<u64>,
    pub(super) bytes_in: u64,
    pub(super) bytes_out: u64,
    pub(super) reconnects: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_single_lines_and_come_back() {
        let tally = PeerTally {
            items: 3,
            errors: BTreeMap::from([("lost".into(), 2)]),
            ..PeerTally::default()
        };
        for message in [
            FromNode::Bound { port: 9 },
            FromNode::Note("two\nlines".into()),
            FromNode::Done {
                tally: vec![tally],
                links: vec![LinkFacts::default()],
            },
        ] {
            let line = serde_json::to_string(&message).unwrap();
            assert!(!line.contains('\n'));
            assert_eq!(serde_json::from_str::<FromNode>(&line).unwrap(), message);
        }
        let setup = ToNode::Setup(Setup {
            index: 1,
            names: vec!["http://127.0.0.1:1".into()],
            dial: BTreeMap::from([(
                "http://127.0.0.1:1".into(),
                SocketAddr::from(([127, 0, 0, 1], 2)),
            )]),
            dir: "/tmp".into(),
            began: SystemTime::UNIX_EPOCH,
            ping_ms: 500,
            stream_ping_ms: 700,
        });
        let line = serde_json::to_string(&setup).unwrap();
        assert_eq!(serde_json::from_str::<ToNode>(&line).unwrap(), setup);
    }

    #[test]
    fn tallies_add_up() {
        let one = PeerTally {
            files: 1,
            errors: BTreeMap::from([("lost".into(), 2)]),
            ..PeerTally::default()
        };
        let mut sum = one.clone();
        sum.add(&one);
        assert_eq!((sum.files, sum.errors.get("lost")), (2, Some(&4)));
        assert_eq!(sum.progress(), 2);
    }
}
