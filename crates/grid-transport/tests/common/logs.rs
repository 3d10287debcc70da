//! What was logged, line by line.

#![allow(dead_code, reason = "each test target uses its own part")]

use std::{
    io,
    sync::{Arc, Mutex, Once},
};

use tracing::{Level, subscriber::DefaultGuard};
use tracing_subscriber::fmt::MakeWriter;

/// Keeps what this thread logs, until the guard is dropped.
#[derive(Clone, Default)]
pub(crate) struct Logs(Arc<Mutex<Vec<u8>>>);

impl Logs {
    pub(crate) fn capture() -> (Self, DefaultGuard) {
        Self::capture_at(Level::INFO)
    }

    pub(crate) fn capture_at(level: Level) -> (Self, DefaultGuard) {
        // Where only one thread has a subscriber, the others decide for it what is never logged.
        static OTHERS: Once = Once::new();
        OTHERS.call_once(|| {
            let others = tracing_subscriber::fmt()
                .with_max_level(Level::TRACE)
                .with_writer(io::sink)
                .finish();
            tracing::subscriber::set_global_default(others).unwrap();
        });
        let logs = Self::default();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(level)
            .with_ansi(false)
            .with_writer(logs.clone())
            .finish();
        (logs, tracing::subscriber::set_default(subscriber))
    }

    /// All of it, as it was written.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap()).into_owned()
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        self.text().lines().map(str::to_owned).collect()
    }

    /// The warnings of a target. A node that accepts may dial others meanwhile, and warn of that.
    pub(crate) fn warnings_of(&self, target: &str) -> Vec<String> {
        let words = format!(" WARN {target}: ");
        let mut warnings = self.warnings();
        warnings.retain(|line| line.contains(&words));
        warnings
    }

    /// The warnings.
    pub(crate) fn warnings(&self) -> Vec<String> {
        self.lines()
            .into_iter()
            .filter(|line| line.contains(" WARN "))
            .collect()
    }
}

impl<'a> MakeWriter<'a> for Logs {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

impl io::Write for Logs {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
