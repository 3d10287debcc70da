//! What commands and nodes say to each other over a control socket.

use grid_transport::{Capacity, HandlerId, Settings};
use grid_typed::{Bytes, NoPayload, Single, Streaming};
use serde::{Deserialize, Serialize};

use crate::fault::Fault;

/// The route path. A change that older programs can't follow takes a new one.
pub(crate) const PATH: &str = "/grid/control/v1";

/// The name of the node on its control socket: of these two the client is the one that dials.
pub(crate) const NODE: &str = "http://server.control";
/// The name of whoever dials it.
pub(crate) const CLIENT: &str = "http://client.control";

/// The settings of both ends: the largest message of a grid fits into one of the control socket.
pub(crate) fn settings() -> Settings {
    let settings = Settings::new();
    let largest = settings.max_message + WRAPPING;
    settings.max_message(largest)
}

/// What stands around a payload in an order or an answer, names and all.
const WRAPPING: usize = 64 * 1024;

/// Waits until the node has a link to a peer.
pub(crate) static CONNECT: Single<ConnectOrder, Result<(), Fault>> = Single::new(HandlerId::new(1));
/// A single request.
pub(crate) static CALL: Single<CallOrder, Result<Bytes, Fault>> = Single::new(HandlerId::new(2));
/// A ping of a link; the answer is the round-trip time in nanoseconds.
pub(crate) static PING: Single<PingOrder, Result<u64, Fault>> = Single::new(HandlerId::new(3));
/// The node's status as JSON.
pub(crate) static STATUS: Single<NoPayload, Bytes> = Single::new(HandlerId::new(4));
/// A stream: items of the caller, and what comes from the remote. Its end is clean exactly where
/// that of the remote's stream was.
pub(crate) static OPEN: Streaming<OpenOrder, Bytes, FromRemote> =
    Streaming::new(HandlerId::new(5), Capacity::new(16, 16));

/// Which peer, and for how long at most.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct ConnectOrder {
    pub(crate) to: String,
    pub(crate) timeout_ms: u64,
}

/// A single request to be made.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct CallOrder {
    pub(crate) to: String,
    pub(crate) handler: u8,
    pub(crate) subroute: Option<String>,
    pub(crate) timeout_ms: u64,
    pub(crate) payload: Bytes,
}

/// A ping to be sent.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct PingOrder {
    pub(crate) to: String,
    pub(crate) timeout_ms: u64,
}

/// A stream to be opened.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct OpenOrder {
    pub(crate) to: String,
    pub(crate) handler: u8,
    pub(crate) subroute: Option<String>,
    pub(crate) timeout_ms: Option<u64>,
    pub(crate) input: u32,
    pub(crate) output: u32,
    pub(crate) payload: Bytes,
}

/// What the remote did on a stream.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum FromRemote {
    Item(Bytes),
    /// It ended in this way; nothing comes after it.
    Failed(Fault),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_client_is_the_one_that_dials() {
        assert!(grid_proto::local_dials(CLIENT, NODE));
    }
}
