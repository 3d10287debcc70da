//! What becomes of an accept that fails, on the addresses that a node serves beside the grid.

use std::{io, time::Duration};

/// Between two attempts to accept, where one has failed: mostly there are too many open files.
const PAUSE: Duration = Duration::from_millis(100);

/// Tells of the first failure in a row, and not of ten a second for as long as it lasts.
#[derive(Debug)]
pub(crate) struct Accepting {
    what: &'static str,
    fails: bool,
}

impl Accepting {
    /// On `what`, such as `the control socket`.
    pub(crate) const fn on(what: &'static str) -> Self {
        Self { what, fails: false }
    }

    /// What was accepted; where that has failed, nothing after a pause.
    ///
    /// # Cancel safety
    ///
    /// What was accepted is dropped.
    pub(crate) async fn accepted<T>(&mut self, accepted: io::Result<T>) -> Option<T> {
        match accepted {
            Ok(accepted) => {
                self.fails = false;
                Some(accepted)
            }
            Err(error) => {
                if !std::mem::replace(&mut self.fails, true) {
                    tracing::warn!("{} accepts nothing: {error}", self.what);
                }
                // tidy: sleep: what is missing comes back by itself or not at all
                tokio::time::sleep(PAUSE).await;
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    /// Where the log goes.
    #[derive(Clone, Default)]
    struct Log(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Log {
        fn write(&mut self, text: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(text);
            Ok(text.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_is_told_once_until_it_is_over() {
        let log = Log::default();
        let writer = log.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_writer(move || writer.clone())
            .finish();
        let _guard = tracing::subscriber::set_default(subscriber);
        let mut accepting = Accepting::on("the door");
        let begun = tokio::time::Instant::now();
        let mut told = Vec::new();
        for fails in [true, true, true, false, true] {
            let came = match fails {
                true => Err(io::Error::other("too many")),
                false => Ok(7),
            };
            assert_eq!(accepting.accepted(came).await.is_none(), fails);
            let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
            told.push(text.matches("the door accepts nothing: too many").count());
        }
        assert_eq!(told, [1, 1, 1, 1, 2]);
        assert_eq!(begun.elapsed(), 4 * PAUSE);
    }
}
