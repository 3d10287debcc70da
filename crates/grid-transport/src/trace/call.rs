//! The spans of calls, of single requests and of streams.

use std::{
    fmt::{self, Display},
    sync::Arc,
};

use grid_proto::Payload;
use tracing::{Level, field::Empty, span::Entered};

use super::{Bytes, Cut, Open, SYSTEM};
use crate::{
    error::CallError, link::shared::LinkShared, registry::Entry, request::Call, stream::Pipe,
};

/// The fields are the same of all four, but a span's name and target have to be literals. Nothing of it is looked at where
/// nobody wants the span.
macro_rules! span {
    (
        $target:literal, $name:literal, $(parent: $parent:expr,)?
        kind: $kind:literal, link: $link:expr, handler: $handler:expr, subroute: $subroute:expr,
        server: $server:expr, client: $client:expr $(,)?
    ) => {
        tracing::span!(
            target: $target,
            $(parent: $parent,)?
            Level::DEBUG,
            $name,
            "otel.kind" = $kind,
            "rpc.system.name" = SYSTEM,
            "rpc.method" = %$handler.get(),
            "server.address" = $server.map(|(host, _)| host),
            "server.port" = $server.map(|(_, port)| port),
            "client.address" = $client,
            local = &*$link.node.local,
            peer = &*$link.name,
            subroute = $subroute.as_deref().map(|route| tracing::field::display(Cut(route))),
            bytes_in = Empty,
            bytes_out = Empty,
            outcome = Empty,
            error = Empty,
            "error.type" = Empty,
            "otel.status_code" = Empty,
            duration = Empty,
        )
    };
}

/// The span of a call of this node; one that is dropped before its end was cancelled.
pub(crate) struct CallSpan {
    open: Option<Open>,
    payload: usize,
    sent: bool,
}

impl CallSpan {
    /// Of a single request; `None` where nobody wants it.
    pub(crate) fn request(call: &Call) -> Option<Box<Self>> {
        let link = &call.link;
        Self::open(
            Open::new(span!(
                "grid::call", "grid.call",
                kind: "client", link: link, handler: call.handler, subroute: call.route,
                server: Some(link.target.address()), client: None::<&str>,
            ))?,
            call,
        )
    }

    /// Of a stream; `None` where nobody wants it.
    pub(crate) fn stream(call: &Call) -> Option<Box<Self>> {
        let link = &call.link;
        Self::open(
            Open::new(span!(
                "grid::stream", "grid.stream",
                kind: "client", link: link, handler: call.handler, subroute: call.route,
                server: Some(link.target.address()), client: None::<&str>,
            ))?,
            call,
        )
    }

    fn open(open: Open, call: &Call) -> Option<Box<Self>> {
        Some(Box::new(Self {
            open: Some(open),
            payload: call.payload.len(),
            sent: false,
        }))
    }

    /// The call was handed to the link.
    pub(crate) fn sent(&mut self) {
        self.sent = true;
    }

    /// A single request has ended.
    pub(crate) fn answered(&mut self, outcome: &Result<Payload, CallError>) {
        let answer = outcome.as_ref().map_or(0, Payload::len);
        self.end(outcome.as_ref().err(), answer as u64, 0);
    }

    /// It has failed before anything was sent.
    pub(crate) fn failed(&mut self, error: &CallError) {
        self.end(Some(error), 0, 0);
    }

    fn end(&mut self, error: Option<&CallError>, incoming: u64, outgoing: u64) {
        let Some(open) = self.open.take() else { return };
        let mut bytes = Bytes::out(if self.sent { self.payload } else { 0 });
        bytes.incoming += incoming;
        bytes.outgoing += outgoing;
        let outcome = error.map_or("ok", CallError::kind);
        open.end(outcome, error.map(|error| error as &dyn Display), bytes);
    }
}

impl Drop for CallSpan {
    fn drop(&mut self) {
        self.end(Some(&CallError::Cancelled), 0, 0);
    }
}

/// The span of a stream of this node, which its receiver has.
pub(crate) struct StreamSpan {
    pipe: Arc<Pipe>,
    call: Box<CallSpan>,
}

impl StreamSpan {
    pub(crate) fn new(pipe: Arc<Pipe>, mut call: Box<CallSpan>) -> Self {
        call.sent();
        Self { pipe, call }
    }

    /// Nobody is left to see the end.
    pub(crate) fn over(self) {
        match self.pipe.outcome() {
            Some(Ok(())) => self.end(None),
            Some(Err(error)) => self.end(Some(&error)),
            None => self.end(Some(&CallError::Cancelled)),
        }
    }

    /// The receiver has seen the end.
    pub(crate) fn end(mut self, error: Option<&CallError>) {
        let bytes = self.pipe.bytes();
        self.call.end(error, bytes.incoming, bytes.outgoing);
    }
}

impl fmt::Debug for StreamSpan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StreamSpan")
    }
}

/// The span of a handler at work.
pub(crate) struct HandleSpan {
    open: Open,
    payload: usize,
    pipe: Option<Arc<Pipe>>,
}

impl HandleSpan {
    /// `None` where nobody wants it. `payload` is what came with the call, `pipe` is that of a stream.
    pub(crate) fn new<C, T>(
        link: &LinkShared,
        entry: &Entry<C, T>,
        payload: usize,
        pipe: Option<&Arc<Pipe>>,
    ) -> Option<Box<Self>> {
        // Whatever span the reader's or the caller's task is in has nothing to do with it.
        let span = match pipe {
            None => span!(
                "grid::handle", "grid.handle", parent: None,
                kind: "server", link: link, handler: entry.id, subroute: entry.subroute,
                server: link.node.address(), client: link.target.host(),
            ),
            Some(_) => span!(
                "grid::stream", "grid.stream", parent: None,
                kind: "server", link: link, handler: entry.id, subroute: entry.subroute,
                server: link.node.address(), client: link.target.host(),
            ),
        };
        Some(Box::new(Self {
            open: Open::new(span)?,
            payload,
            pipe: pipe.cloned(),
        }))
    }

    /// What the handler logs belongs to its call.
    pub(crate) fn enter(&self) -> Entered<'_> {
        self.open.span.enter()
    }

    /// The handler has ended; a single one has answered so many bytes.
    pub(crate) fn end(self, outcome: &'static str, error: Option<&dyn Display>, answer: usize) {
        let mut bytes = self.pipe.map(|pipe| pipe.bytes()).unwrap_or_default();
        bytes.incoming += self.payload as u64;
        bytes.outgoing += answer as u64;
        self.open.end(outcome, error, bytes);
    }
}
