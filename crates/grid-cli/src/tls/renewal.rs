//! Certificates are read again as their files change.

use std::time::Duration;

use tokio::{
    task::{JoinHandle, spawn_blocking},
    time::sleep,
};
use tokio_util::sync::CancellationToken;

use super::{NodeTls, files::Prints};

/// How long the files have to stand still, where they are not looked at more often: a certificate and its key are two.
const SETTLE: Duration = Duration::from_secs(1);

/// The task that looks at the files.
#[derive(Debug)]
pub(crate) struct Renewal {
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Renewal {
    /// Looks at the files in this interval from now on; `None` where there is none.
    pub(crate) fn start(tls: &NodeTls, interval: Duration) -> Option<Self> {
        if tls.prints.is_empty() {
            return None;
        }
        let stop = CancellationToken::new();
        let task = tokio::spawn(run(tls.clone(), interval, stop.clone()));
        Some(Self { stop, task })
    }

    /// Looks at them no more.
    ///
    /// # Cancel safety
    ///
    /// It ends all the same.
    pub(crate) async fn stop(self) {
        self.stop.cancel();
        // It fails only where the runtime ends.
        let _ = self.task.await;
    }
}

async fn run(tls: NodeTls, interval: Duration, stop: CancellationToken) {
    tokio::select! {
        biased;
        () = stop.cancelled() => {}
        () = follow(&tls, interval) => {}
    }
}

/// Reads the certificates again whenever their files have changed and stand still, and goes on trying where that fails.
///
/// # Cancel safety
///
/// What was begun to be read is read to its end.
async fn follow(tls: &NodeTls, interval: Duration) {
    let mut watch = Watch::new(tls.prints.clone());
    let mut pause = interval;
    loop {
        // tidy: sleep: files say nothing of when they change
        sleep(pause).await;
        let now = look(tls).await;
        pause = interval;
        match watch.sees(&now) {
            Step::Nothing => {}
            Step::Settle => pause = SETTLE.min(interval),
            Step::Reload => match watch.reloaded(now, reload(tls).await) {
                Told::Read => {
                    tracing::info!(target: "grid::tls", "the certificates were read again");
                }
                Told::Failed(cause) => tracing::warn!(
                    target: "grid::tls",
                    cause,
                    "the certificates can't be read again, and the last good ones stay"
                ),
                Told::Known => {}
            },
        }
    }
}

/// What is in the files, or why that can't be known.
type Look = Result<Prints, String>;

/// What was seen of the files, and what came of it.
#[derive(Debug)]
struct Watch {
    /// What the node uses.
    used: Look,
    /// What was there the last time, where that is something else.
    seen: Option<Look>,
    /// Why it can't be used, as it was told.
    told: Option<String>,
}

/// What to do now.
#[derive(Debug, PartialEq, Eq)]
enum Step {
    /// To look again later.
    Nothing,
    /// To look again soon, as the files may be about to change on.
    Settle,
    /// To read the files.
    Reload,
}

/// What to tell of an attempt.
#[derive(Debug, PartialEq, Eq)]
enum Told {
    Read,
    Failed(String),
    /// It failed as before.
    Known,
}

impl Watch {
    fn new(used: Prints) -> Self {
        Self {
            used: Ok(used),
            seen: None,
            told: None,
        }
    }

    fn sees(&mut self, now: &Look) -> Step {
        if *now == self.used {
            // Somebody has taken back what could not be used.
            (self.seen, self.told) = (None, None);
            return Step::Nothing;
        }
        if self.seen.as_ref() == Some(now) {
            return Step::Reload;
        }
        self.seen = Some(now.clone());
        Step::Settle
    }

    /// The files count as used only where they could be: what fails for a reason outside of them is tried again.
    fn reloaded(&mut self, now: Look, outcome: Result<(), String>) -> Told {
        match outcome {
            Ok(()) => {
                *self = Self {
                    used: now,
                    seen: None,
                    told: None,
                };
                Told::Read
            }
            Err(cause) if self.told.as_ref() == Some(&cause) => Told::Known,
            Err(cause) => {
                self.told = Some(cause.clone());
                Told::Failed(cause)
            }
        }
    }
}

/// Looks at the files.
///
/// # Cancel safety
///
/// Safe.
async fn look(tls: &NodeTls) -> Look {
    let files = tls.files.clone();
    let looked = spawn_blocking(move || files.look()).await;
    looked.unwrap_or_else(|error| Err(error.to_string()))
}

/// Reads the certificates again.
///
/// # Cancel safety
///
/// They are read all the same.
async fn reload(tls: &NodeTls) -> Result<(), String> {
    let tls = tls.clone();
    let reloaded = spawn_blocking(move || tls.reload()).await;
    reloaded.unwrap_or_else(|error| Err(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: [u8; 32] = [1; 32];
    const NEW: [u8; 32] = [2; 32];

    fn failed(words: &str) -> Result<(), String> {
        Err(words.to_owned())
    }

    #[test]
    fn what_could_not_be_read_is_tried_again_though_no_file_changes() {
        let mut watch = Watch::new(vec![OLD]);
        let new = || Ok(vec![NEW]);
        assert_eq!(watch.sees(&Ok(vec![OLD])), Step::Nothing);
        assert_eq!(watch.sees(&new()), Step::Settle);
        assert_eq!(watch.sees(&new()), Step::Reload);
        let told = watch.reloaded(new(), failed("too many open files"));
        assert_eq!(told, Told::Failed("too many open files".to_owned()));
        // The same words are told once, others again.
        assert_eq!(watch.sees(&new()), Step::Reload);
        let told = watch.reloaded(new(), failed("too many open files"));
        assert_eq!(told, Told::Known);
        assert_eq!(watch.sees(&new()), Step::Reload);
        let told = watch.reloaded(new(), failed("an error of the disk"));
        assert_eq!(told, Told::Failed("an error of the disk".to_owned()));
        assert_eq!(watch.sees(&new()), Step::Reload);
        assert_eq!(watch.reloaded(new(), Ok(())), Told::Read);
        assert_eq!(watch.sees(&new()), Step::Nothing);
    }

    #[test]
    fn files_that_move_are_left_alone_until_they_stand_still() {
        let mut watch = Watch::new(vec![OLD]);
        assert_eq!(watch.sees(&Ok(vec![NEW])), Step::Settle);
        assert_eq!(watch.sees(&Err("it is gone".to_owned())), Step::Settle);
        assert_eq!(watch.sees(&Ok(vec![NEW])), Step::Settle);
        assert_eq!(watch.sees(&Ok(vec![NEW])), Step::Reload);
        let told = watch.reloaded(Ok(vec![NEW]), failed("no key"));
        assert_eq!(told, Told::Failed("no key".to_owned()));
        // Back to the good ones, and the same mistake once more.
        assert_eq!(watch.sees(&Ok(vec![OLD])), Step::Nothing);
        assert_eq!(watch.sees(&Ok(vec![NEW])), Step::Settle);
        assert_eq!(watch.sees(&Ok(vec![NEW])), Step::Reload);
        let told = watch.reloaded(Ok(vec![NEW]), failed("no key"));
        assert_eq!(told, Told::Failed("no key".to_owned()));
    }
}
