//! Spans: of links, and of calls on the caller's node and on the one where a handler runs.
//!
//! They are built where a subscriber wants them and nowhere else, and never under the lock of a link: a subscriber is
//! code of the user. Where OpenTelemetry's semantic conventions have a name for a field, it is theirs (version 1.45.0).

mod call;
mod cut;
mod link;

use std::fmt::Display;

use tokio::time::Instant;
use tracing::{Span, field::display};

#[cfg(all(test, feature = "metrics"))]
pub(crate) use self::link::ended_by;
pub(crate) use self::{
    call::{CallSpan, HandleSpan, StreamSpan},
    cut::Cut,
    link::LinkSpan,
};

/// What stands in `rpc.system.name`.
const SYSTEM: &str = "grid";

/// A span that wants to know how what it is of has ended.
struct Open {
    span: Span,
    began: Instant,
}

impl Open {
    /// `None` where nobody wants the span.
    fn new(span: Span) -> Option<Self> {
        (!span.is_disabled()).then(|| Self {
            span,
            began: Instant::now(),
        })
    }

    fn end(self, outcome: &'static str, error: Option<&dyn Display>, bytes: Bytes) {
        if let Some(error) = error {
            self.span.record("error", display(Cut(error)));
            self.span.record("error.type", outcome);
            self.span.record("otel.status_code", "ERROR");
        }
        self.span.record("outcome", outcome);
        self.span.record("bytes_in", bytes.incoming);
        self.span.record("bytes_out", bytes.outgoing);
        self.span
            .record("duration", self.began.elapsed().as_secs_f64());
    }
}

/// Bytes both ways.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Bytes {
    pub(crate) incoming: u64,
    pub(crate) outgoing: u64,
}

impl Bytes {
    pub(crate) const fn out(outgoing: usize) -> Self {
        Self {
            incoming: 0,
            outgoing: outgoing as u64,
        }
    }
}
