//! The span of a link's session: from the end of the handshake until all of it is gone.

use std::fmt::Display;

use tracing::{Level, Span, field::Empty};

use super::{Bytes, Open, SYSTEM};
use crate::{
    link::shared::LinkShared, session::Established, state::LinkCause, stats::SessionStats,
};

/// One for each connection that comes to stand; without an end where the runtime goes down under it.
pub(crate) struct LinkSpan(Option<Box<Open>>);

impl LinkSpan {
    pub(crate) fn new(link: &LinkShared, established: &Established) -> Self {
        let peer = &established.peer;
        let dialed = || match link.dials {
            true => Some(link.target.address()),
            false => link.node.address(),
        };
        let span = tracing::span!(
            target: "grid::link",
            parent: None,
            Level::DEBUG,
            "grid.link",
            "rpc.system.name" = SYSTEM,
            "server.address" = dialed().map(|(host, _)| host),
            "server.port" = dialed().map(|(_, port)| port),
            local = &*link.node.local,
            peer = &*link.name,
            dials = link.dials,
            instance = %peer.id,
            ours = peer.is_ours(),
            bytes_in = Empty,
            bytes_out = Empty,
            outcome = Empty,
            error = Empty,
            "error.type" = Empty,
            "otel.status_code" = Empty,
            duration = Empty,
        );
        Self(Open::new(span).map(Box::new))
    }

    /// What has to do with the connection is to happen inside of this.
    pub(crate) fn inside(&self) -> Span {
        self.0
            .as_ref()
            .map_or_else(Span::none, |open| open.span.clone())
    }

    pub(crate) fn end(self, cause: &LinkCause, stats: impl FnOnce() -> SessionStats) {
        let Some(open) = self.0 else { return };
        let stats = stats();
        let bytes = Bytes {
            incoming: stats.bytes_in,
            outgoing: stats.bytes_out,
        };
        let error = (!is_wanted(cause)).then_some(cause as &dyn Display);
        open.end(ended_by(cause), error, bytes);
    }
}

/// Whether somebody ended it who may: this node, or the remote with a word that says so.
const fn is_wanted(cause: &LinkCause) -> bool {
    match cause {
        LinkCause::ShuttingDown | LinkCause::Removed | LinkCause::Replaced => true,
        LinkCause::ClosedByPeer { code, .. } => matches!(code, Some(1000 | 1001)),
        _ => false,
    }
}

/// The word for what has ended a connection, as the metrics have it.
pub(crate) const fn ended_by(cause: &LinkCause) -> &'static str {
    match cause {
        LinkCause::Lost(_) => "lost",
        LinkCause::ClosedByPeer { .. } => "closed_by_remote",
        LinkCause::PeerSilent { .. } => "silent",
        LinkCause::WriteStalled { .. } => "stalled",
        LinkCause::Decode(_) => "unreadable",
        LinkCause::TooLarge { .. } => "too_large",
        LinkCause::Protocol(_) => "protocol",
        LinkCause::PeerNotReading => "not_reading",
        LinkCause::Abuse(_) => "abuse",
        LinkCause::Replaced => "replaced",
        LinkCause::ShuttingDown => "shutting_down",
        LinkCause::Removed => "removed",
        LinkCause::Panicked => "panicked",
        // Of attempts, and of calls.
        _ => "other",
    }
}
