//! The log of a command, on stderr.

use std::io::IsTerminal;

use tracing_subscriber::{EnvFilter, Layer, Registry, prelude::*};

use crate::status::Events;

/// Logs to stderr what `RUST_LOG` asks for, or else `default`. Only the first call counts.
pub(crate) fn to_stderr(default: &str) {
    // A second subscriber can't be set; tests that call this in one process share the first.
    let _ = tracing_subscriber::registry()
        .with(stderr(default))
        .try_init();
}

/// The same, and keeps the newest events of a node.
pub(crate) fn to_stderr_and(default: &str, events: &Events) {
    // As above.
    let _ = tracing_subscriber::registry()
        .with(stderr(default))
        .with(events.layer())
        .try_init();
}

fn stderr(default: &str) -> impl Layer<Registry> + use<> {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default));
    tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_filter(filter)
}
