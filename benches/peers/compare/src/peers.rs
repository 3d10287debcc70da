//! Who is compared.

use crate::point::{Point, What};

/// One of those compared.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer {
    /// As the tables name it.
    pub(crate) name: &'static str,
    pub(crate) program: Program,
    /// It has no mux: one operation at a time.
    pub(crate) alone: bool,
    pub(crate) streams: Streams,
    /// Its requests are those of another.
    pub(crate) only_streams: bool,
    /// Whether the quick run has it.
    pub(crate) quick: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Program {
    /// `grid node` and `grid load`.
    Grid,
    /// One of this workspace, with the command line that the harness gives it.
    Ours(&'static str),
}

/// Of what capacities it has streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Streams {
    None,
    Only(u32),
    All,
}

impl Streams {
    pub(crate) fn have(self, capacity: u32) -> bool {
        match self {
            Self::None => false,
            Self::Only(only) => only == capacity,
            Self::All => true,
        }
    }
}

pub(crate) const GRID: &str = "grid";
pub(crate) const GRID_HTTPS: &str = "grid, both names https";
pub(crate) const GRID_WORKER: &str = "grid, a worker of its own";
pub(crate) const GRID_LIBRARY: &str = "grid, as a library";
pub(crate) const GRID_TYPED: &str = "grid, structs for bytes";
pub(crate) const PING_PONG: &str = "TCP, no mux";
pub(crate) const RAW_MUX: &str = "TCP, smallest mux";
pub(crate) const WEBSOCKET: &str = "tokio-tungstenite, that mux";
/// Writes as soon as there is anything, and does not wait for what others are about to add.
pub(crate) const WEBSOCKET_AT_ONCE: &str = "tokio-tungstenite, written at once";
pub(crate) const TARPC: &str = "tarpc";
pub(crate) const TONIC: &str = "tonic";
/// Whose items go through the sinks of streams, which gather them.
pub(crate) const GRID_SINK: &str = "grid, through sinks";
/// Whose items come from what makes them and not through a channel.
pub(crate) const TONIC_DIRECT: &str = "tonic, without channels";

const fn ours(name: &'static str, binary: &'static str, streams: Streams, quick: bool) -> Peer {
    Peer {
        name,
        program: Program::Ours(binary),
        alone: false,
        streams,
        only_streams: false,
        quick,
    }
}

/// In the order in which they run.
pub(crate) const PEERS: [Peer; 15] = [
    Peer {
        name: GRID,
        program: Program::Grid,
        alone: false,
        streams: Streams::None,
        only_streams: false,
        quick: true,
    },
    ours(GRID_LIBRARY, "grid_http", Streams::All, true),
    Peer {
        only_streams: true,
        ..ours(GRID_SINK, "grid_sink", Streams::All, false)
    },
    ours(GRID_WORKER, "grid_worker", Streams::All, false),
    ours(GRID_HTTPS, "grid_https", Streams::None, false),
    ours(GRID_TYPED, "grid_typed", Streams::None, false),
    Peer {
        alone: true,
        ..ours(PING_PONG, "raw_ping_pong", Streams::None, true)
    },
    ours(RAW_MUX, "raw_mux", Streams::All, true),
    ours(WEBSOCKET, "websocket", Streams::None, false),
    ours(WEBSOCKET_AT_ONCE, "websocket_at_once", Streams::None, false),
    ours(TARPC, "peer-tarpc", Streams::None, true),
    ours(TONIC, "peer-tonic", Streams::All, true),
    Peer {
        only_streams: true,
        ..ours(TONIC_DIRECT, "peer-tonic-direct", Streams::All, false)
    },
    ours("remoc", "peer-remoc", Streams::Only(100), false),
    ours("jsonrpsee", "peer-jsonrpsee", Streams::None, false),
];

impl Peer {
    /// Whether it can do what is asked at a point.
    pub(crate) fn takes(&self, point: Point) -> bool {
        match point.what {
            // Its struct has more bytes than the smallest of payloads.
            What::Echo if self.name == GRID_TYPED => point.size >= 512,
            What::Echo => !self.only_streams && (!self.alone || point.callers == 1),
            What::Items | What::EchoItems => self.streams.have(point.capacity),
        }
    }

    pub(crate) fn is_ours(&self) -> bool {
        matches!(self.program, Program::Ours(_))
    }
}
