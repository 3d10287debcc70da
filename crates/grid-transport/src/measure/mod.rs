//! What calls, handlers and links add to the metrics as things happen; without the feature `metrics` it is nothing, and of
//! no size.

#[cfg(not(feature = "metrics"))]
mod off;
#[cfg(feature = "metrics")]
mod on;
#[cfg(feature = "metrics")]
mod words;

#[cfg(not(feature = "metrics"))]
pub(crate) use self::off::{CallMeasure, LinkMeasure, NodeMeasure};
#[cfg(feature = "metrics")]
pub(crate) use self::on::{
    CallMeasure, HANDLER_COUNTERS, HandlerMeasure, LINK_COUNTERS, LinkMeasure, NodeMeasure,
};
#[cfg(feature = "metrics")]
pub(crate) use self::words::KINDS;

/// The two kinds of calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CallKind {
    Request,
    Stream,
}
