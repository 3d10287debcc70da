//! What a connection reports.

use std::time::{Duration, Instant};

use crate::{
    HandlerId, MuxId, Payload, SubrouteId,
    wire::{MuxRejection, Text},
};

use super::{budget::Charge, config::Capacity, error::CallError};

/// One thing that happened; see [`Connection::poll_event`](super::Connection::poll_event).
#[derive(Debug)]
#[non_exhaustive]
pub enum Event {
    /// A single request of ours ended. Its answer belongs to whoever asked and counts nowhere: there are no more of
    /// these than [`max_requests`](super::Config::max_requests), and none is larger than a message.
    Answered {
        /// The call.
        mux: MuxId,
        /// The answer, or why there is none.
        outcome: Result<Payload, CallError>,
    },
    /// An item for the caller of a stream.
    Item {
        /// The call.
        mux: MuxId,
        /// The item; one that a peer sent as absent is counted like any other.
        payload: Payload,
        /// What the item holds of the inbound budget.
        charge: Charge,
    },
    /// Credit came: the caller of a stream can send again.
    Writable {
        /// The call.
        mux: MuxId,
    },
    /// A stream of ours ended; comes after all of its items, once, and never after a cancel.
    Ended {
        /// The call.
        mux: MuxId,
        /// A clean end, by which every item was delivered, or why it ended.
        outcome: Result<(), CallError>,
    },
    /// A single request to serve.
    Request(InboundRequest),
    /// Nobody waits for the answer to this request any more; it counts until it is answered or abandoned.
    RequestCancelled {
        /// The request.
        ticket: Ticket,
        /// Why.
        why: CancelReason,
    },
    /// A stream to serve.
    Opened(InboundStream),
    /// An item for the handler of a stream.
    Received {
        /// The stream.
        stream: ServeId,
        /// The item.
        payload: Payload,
        /// What the item holds of the inbound budget.
        charge: Charge,
    },
    /// The caller of a stream sends no more items.
    InputEnded {
        /// The stream.
        stream: ServeId,
    },
    /// Credit came: the handler of a stream can send again.
    ServeWritable {
        /// The stream.
        stream: ServeId,
    },
    /// A payload of the application that was queued and will not be sent: its mux or the connection ended.
    ///
    /// The machine drops no such payload itself, because the last owner of a [`Bytes`](bytes::Bytes) may run code of
    /// the application, and a driver may hold a lock while it asks.
    Unsent(bytes::Bytes),
    /// A ping that the application asked for was answered; see [`Connection::ping`](super::Connection::ping).
    Ponged {
        /// The ping. One answer may stand for several, which are reported in their order.
        ping: PingId,
        /// From when it left for the socket until its answer was handled.
        round_trip: Duration,
    },
    /// The handler of a stream has to stop; what it sends from now on goes nowhere.
    Cancelled {
        /// The stream.
        stream: ServeId,
        /// Why.
        why: CancelReason,
    },
}

/// A single request that the peer made.
#[derive(Debug)]
#[non_exhaustive]
pub struct InboundRequest {
    /// To answer it with.
    pub ticket: Ticket,
    /// What [`Routes::single`] gave for it.
    pub route: u32,
    /// The handler that was called.
    pub handler: HandlerId,
    /// The subroute that was called, if any.
    pub subroute: Option<SubrouteId>,
    /// When the caller gives up; `None` means never.
    pub deadline: Option<Instant>,
    /// The request.
    pub payload: Payload,
    /// What the request holds of the inbound budget.
    pub charge: Charge,
}

/// A stream that the peer opened.
#[derive(Debug)]
#[non_exhaustive]
pub struct InboundStream {
    /// To serve it with.
    pub stream: ServeId,
    /// What [`Routes::stream`] gave for it.
    pub route: u32,
    /// The handler that was called.
    pub handler: HandlerId,
    /// The subroute that was called, if any.
    pub subroute: Option<SubrouteId>,
    /// When the caller gives up; `None` means never.
    pub deadline: Option<Instant>,
    /// The initial payload.
    pub payload: Payload,
    /// The handler's capacities.
    pub capacity: Capacity,
    /// What the initial payload holds of the inbound budget.
    pub charge: Charge,
}

/// Names one ping of a connection; later ones are greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PingId(pub(super) u64);

/// Names one single request that is being served, of one connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Ticket {
    pub(super) mux: MuxId,
    pub(super) seq: u32,
    pub(super) serial: u64,
}

impl Ticket {
    /// The number that the caller gave the request.
    #[must_use]
    pub fn mux(&self) -> MuxId {
        self.mux
    }
}

/// Names one stream that is being served, of one connection.
///
/// A caller may use a number again once its stream has ended; this tells the two apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ServeId {
    pub(super) mux: MuxId,
    pub(super) serial: u64,
}

impl ServeId {
    /// The number that the caller gave the stream.
    #[must_use]
    pub fn mux(&self) -> MuxId {
        self.mux
    }
}

/// Why a handler has to stop.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum CancelReason {
    /// The caller cancelled.
    Caller,
    /// The caller's deadline passed.
    Deadline,
    /// The caller of a long stream has not pinged it for four periods, or for up to sixteen while pongs of the link are
    /// late as well (protocol section 8).
    NoPing,
    /// The caller broke the rules of the stream; the text was sent to it.
    Protocol(Text),
    /// The node held too many bytes and this stream most of them.
    Overloaded,
    /// The connection ended.
    Link,
}

/// What a connection asks when the peer calls.
///
/// It is asked while a message is handled: it has to answer at once, from a table.
pub trait Routes {
    /// The route of a single handler, or why there is none.
    ///
    /// # Errors
    /// The rejection to send.
    fn single(
        &self,
        handler: HandlerId,
        subroute: Option<&SubrouteId>,
    ) -> Result<u32, MuxRejection>;

    /// The route and the capacities of a stream handler, or why there is none.
    ///
    /// # Errors
    /// The rejection to send.
    fn stream(
        &self,
        handler: HandlerId,
        subroute: Option<&SubrouteId>,
    ) -> Result<(u32, Capacity), MuxRejection>;

    /// Whether what the handler of a stream with this route sends is urgent: its items and its end are written before all
    /// that waits and isn't, in their order. None is unless this says so.
    fn stream_is_urgent(&self, route: u32) -> bool {
        let _ = route;
        false
    }
}
