//! Certificates are read again as their files change.

use std::time::Duration;

use tokio::{
    task::{JoinHandle, spawn_blocking},
    time::sleep,
};
use tokio_util::sync::CancellationToken;

use super::{NodeTls, files::Prints};

/// How often the files are looked at: as often as a list of peers is.
const INTERVAL: Duration = Duration::from_secs(5);
/// How long they have to stand still: a certificate and its key are two files.
const SETTLE: Duration = Duration::from_secs(1);

/// The task that looks at the files.
#[derive(Debug)]
pub(crate) struct Renewal {
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Renewal {
    /// Looks at the files from now on.
    pub(crate) fn start(tls: &NodeTls) -> Self {
        let stop = CancellationToken::new();
        let task = tokio::spawn(run(tls.clone(), stop.clone()));
        Self { stop, task }
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

async fn run(tls: NodeTls, stop: CancellationToken) {
    tokio::select! {
        biased;
        () = stop.cancelled() => {}
        () = follow(&tls) => {}
    }
}

/// Reads the certificates again whenever their files have changed and stand still.
///
/// # Cancel safety
///
/// What was begun to be read is read to its end.
async fn follow(tls: &NodeTls) {
    let mut used = Ok(tls.prints.clone());
    let mut moving = None;
    loop {
        let pause = if moving.is_some() { SETTLE } else { INTERVAL };
        // tidy: sleep: files say nothing of when they change
        sleep(pause).await;
        let now = look(tls).await;
        if now == used {
            moving = None;
        } else if moving.as_ref() == Some(&now) {
            moving = None;
            used = now;
            reload(tls).await;
        } else {
            moving = Some(now);
        }
    }
}

/// What is in the files, or why that can't be known.
///
/// # Cancel safety
///
/// Safe.
async fn look(tls: &NodeTls) -> Result<Prints, String> {
    let files = tls.files.clone();
    let looked = spawn_blocking(move || files.look()).await;
    looked.unwrap_or_else(|error| Err(error.to_string()))
}

/// Reads the certificates again, and tells what came of it.
///
/// # Cancel safety
///
/// They are read all the same, and nothing is told.
async fn reload(tls: &NodeTls) {
    let tls = tls.clone();
    let reloaded = spawn_blocking(move || tls.reload()).await;
    match reloaded.unwrap_or_else(|error| Err(error.to_string())) {
        Ok(()) => tracing::info!(target: "grid::tls", "the certificates were read again"),
        Err(cause) => tracing::warn!(
            target: "grid::tls",
            cause,
            "the certificates can't be read again, and the last good ones stay"
        ),
    }
}
