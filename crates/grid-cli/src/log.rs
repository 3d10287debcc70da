//! The log of a command, on stderr.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

/// Logs to stderr what `RUST_LOG` asks for, or else `default`. Only the first call counts.
pub(crate) fn to_stderr(default: &str) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default));
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    // A second subscriber can't be set; tests that call this in one process share the first.
    let _ = subscriber.try_init();
}
