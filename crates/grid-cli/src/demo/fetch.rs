//! Fetching a peer's whole tree, over and over, and comparing every file of it.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use futures_util::{StreamExt, stream};
use grid_transport::{CallError, Connection};
use grid_typed::TypedError;
use sha2::{Digest, Sha256};
use tokio::{task::spawn_blocking, time::sleep};
use tokio_util::sync::CancellationToken;

use super::{
    message::FromNode,
    outbox::Outbox,
    serve::{LIST, ListRequest, READ, ReadReply, ReadRequest},
    tally::Tally,
    verify::{Disk, Fetched, Verdict},
};

/// Requests to one peer that are open at the same time.
const IN_FLIGHT: usize = 64;
/// An attempt that has no answer by then is made again.
const TIMEOUT: Duration = Duration::from_secs(10);
/// The pause before an attempt is made again.
const PAUSE: Duration = Duration::from_millis(20);
/// Errors that no cut explains are a mismatch when the same work meets so many.
const MAX_UNEXPLAINED: u32 = 3;
/// So many differences with a peer are told one by one; the others are counted.
const MAX_NOTES: u64 = 10;

/// The work on one peer.
#[derive(Debug)]
pub(super) struct Fetcher {
    /// The peer, under its subroute.
    pub(super) peer: Connection,
    pub(super) index: usize,
    pub(super) disk: Arc<Disk>,
    pub(super) tally: Arc<Tally>,
    pub(super) outbox: Outbox,
}

/// What an attempt was, for the counts.
#[derive(Clone, Copy, Debug)]
enum Attempt {
    Request,
    Stream,
}

/// Why an attempt won't be made again.
#[derive(Debug)]
struct GivenUp(String);

impl Fetcher {
    /// Makes passes until `stop`, and one at least; a pass that has begun is finished.
    pub(super) async fn run(self, stop: CancellationToken) {
        loop {
            self.pass().await;
            if stop.is_cancelled() {
                return;
            }
        }
    }

    async fn pass(&self) {
        let since = self.disk.moment();
        let listed = match self.list().await {
            Ok(listed) => listed,
            Err(GivenUp(reason)) => {
                self.verdict("the list of its tree", Verdict::Mismatch(reason))
                    .await;
                return;
            }
        };
        self.tally.count(self.index, |tally| {
            tally.pass_done = 0;
            tally.pass_files = listed.len() as u64;
        });
        let (disk, names) = (Arc::clone(&self.disk), listed.clone());
        for (path, verdict) in blocking(move || disk.missing(&names, since)).await {
            self.verdict(&path, verdict).await;
        }
        stream::iter(&listed)
            .for_each_concurrent(IN_FLIGHT, |(path, listed)| async move {
                let verdict = self.file(path, since, *listed).await;
                self.verdict(path, verdict).await;
                self.tally.count(self.index, |tally| tally.pass_done += 1);
            })
            .await;
        self.tally.count(self.index, |tally| tally.passes += 1);
    }

    /// The peer's list: paths and sizes.
    async fn list(&self) -> Result<BTreeMap<String, u64>, GivenUp> {
        let mut unexplained = 0;
        loop {
            match self.try_list().await {
                Ok(listed) => return Ok(listed),
                Err(error) => {
                    self.failed(Attempt::Stream, &error, &mut unexplained)
                        .await?;
                }
            }
        }
    }

    async fn try_list(&self) -> Result<BTreeMap<String, u64>, TypedError> {
        self.peer.connected().await?;
        let mut items = LIST.open(&self.peer, &ListRequest {}).await?;
        let mut listed = BTreeMap::new();
        while let Some(entry) = items.recv().await {
            let entry = entry?;
            self.tally.count(self.index, |tally| tally.items += 1);
            listed.insert(entry.path, entry.size);
        }
        Ok(listed)
    }

    async fn file(&self, path: &str, since: u64, listed: u64) -> Verdict {
        let mut hasher = Sha256::new();
        let mut size = 0;
        loop {
            let ReadReply { data, end } = match self.read(path, size).await {
                Ok(piece) => piece,
                Err(GivenUp(reason)) => {
                    let (disk, path) = (Arc::clone(&self.disk), path.to_owned());
                    return blocking(move || disk.refused(&path, since, &reason)).await;
                }
            };
            hasher.update(&data);
            size += data.len() as u64;
            // What is longer than was listed differs already, and may grow as fast as it is read.
            if end || data.is_empty() || size > listed {
                break;
            }
        }
        let fetched = Fetched {
            since,
            listed,
            size,
            hash: hasher.finalize().into(),
        };
        self.tally.count(self.index, |tally| {
            tally.files += 1;
            tally.bytes += size;
        });
        if self.disk.is_same(path, fetched) {
            return Verdict::Same;
        }
        let (disk, path) = (Arc::clone(&self.disk), path.to_owned());
        blocking(move || disk.compare(&path, fetched)).await
    }

    async fn read(&self, path: &str, offset: u64) -> Result<ReadReply, GivenUp> {
        let request = ReadRequest {
            path: path.to_owned(),
            offset,
        };
        let mut unexplained = 0;
        loop {
            match READ
                .call(&self.peer, &request)
                .wait_ready()
                .timeout(TIMEOUT)
                .await
            {
                Ok(piece) => {
                    self.tally.count(self.index, |tally| tally.requests += 1);
                    return Ok(piece);
                }
                Err(error) => {
                    self.failed(Attempt::Request, &error, &mut unexplained)
                        .await?;
                }
            }
        }
    }

    /// Counts a failed attempt, and tells whether to make it again.
    async fn failed(
        &self,
        attempt: Attempt,
        error: &TypedError,
        unexplained: &mut u32,
    ) -> Result<(), GivenUp> {
        let kind = kind(error);
        self.tally.count(self.index, |tally| {
            *tally.errors.entry(kind.name.to_owned()).or_default() += 1;
            match attempt {
                Attempt::Request if kind.interrupted => tally.calls_interrupted += 1,
                Attempt::Stream if kind.interrupted => tally.streams_interrupted += 1,
                _ => {}
            }
        });
        if !kind.explained {
            *unexplained += 1;
        }
        if kind.is_final || *unexplained >= MAX_UNEXPLAINED {
            return Err(GivenUp(error.to_string()));
        }
        // tidy: sleep: a peer that refuses is not asked again at once, and no error makes a busy loop
        sleep(PAUSE).await;
        Ok(())
    }

    async fn verdict(&self, path: &str, verdict: Verdict) {
        let (text, is_mismatch) = match verdict {
            Verdict::Same => return,
            Verdict::Changed => (format!("'{path}' changed on the disk meanwhile"), false),
            Verdict::Mismatch(reason) => (
                format!("MISMATCH in '{path}' of node {}: {reason}", self.index + 1),
                true,
            ),
        };
        let mut told = 0;
        self.tally.count(self.index, |tally| {
            let count = if is_mismatch {
                &mut tally.mismatches
            } else {
                &mut tally.changed
            };
            *count += 1;
            told = *count;
        });
        if told <= MAX_NOTES {
            self.outbox.say(FromNode::Note(text)).await;
        }
    }
}

/// What an error says about an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Kind {
    name: &'static str,
    /// The call was open when the connection ended.
    interrupted: bool,
    /// A cut explains it; the attempt is made again however often.
    explained: bool,
    /// The handler has answered: asking again is no use.
    is_final: bool,
}

fn kind(error: &TypedError) -> Kind {
    let kind = |name| Kind {
        name,
        interrupted: false,
        explained: false,
        is_final: false,
    };
    match error {
        TypedError::Call(error) => match error {
            CallError::Disconnected { .. } => Kind {
                interrupted: true,
                explained: true,
                ..kind("disconnected")
            },
            CallError::NotConnected { .. } => Kind {
                explained: true,
                ..kind("not connected")
            },
            CallError::Refused(_) => Kind {
                explained: true,
                ..kind("refused")
            },
            CallError::Deadline => Kind {
                explained: true,
                ..kind("deadline")
            },
            CallError::Remote(_) => Kind {
                is_final: true,
                ..kind("remote")
            },
            CallError::UnknownHandler(_) => Kind {
                is_final: true,
                ..kind("unknown handler")
            },
            CallError::ShuttingDown => kind("shutting down"),
            CallError::Cancelled => kind("cancelled"),
            CallError::CapacityMismatch { .. } => kind("capacity mismatch"),
            CallError::Protocol(_) => kind("protocol"),
            _ => kind("other"),
        },
        TypedError::Encode { .. } => kind("encode"),
        TypedError::Decode { .. } => kind("decode"),
        TypedError::Failed(_) => kind("stream failed"),
        _ => kind("other"),
    }
}

/// Runs what blocks on a thread where it may.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match spawn_blocking(work).await {
        Ok(value) => value,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // Blocking work that was not begun is cancelled only where the runtime ends, and this
            // future with it.
            Err(_) => std::future::pending().await,
        },
    }
}
