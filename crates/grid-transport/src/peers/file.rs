//! A file with the names of all nodes, read again as it changes.

use std::{
    fmt,
    fs::{self, File},
    io::{self, Read},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use futures_util::future::BoxFuture;
use tokio::{
    task::{JoinHandle, spawn_blocking},
    time::sleep,
};

use super::{PeerList, PeerSource, error::SourceError, lines};

/// The largest file: as many names as there may be, of a hundred bytes each.
const MOST_BYTES: usize = 1 << 20;
const INTERVAL: Duration = Duration::from_secs(5);
const SETTLE: Duration = Duration::from_secs(1);
const TIMEOUT: Duration = Duration::from_secs(10);

/// A file with one name or [pattern](crate::pattern) a line, this node's own among them; what stands behind a `#` is for
/// people, and empty lines are nothing.
///
/// ```text
/// # the first rack
/// http://rack1-node{1...4}:9000
/// http://rack2-node1:9000         # replaced in March
/// ```
///
/// It is read again every five seconds, all of it, so that no change is missed whatever a file system says of times. One
/// that has changed is taken once it stands still for a second: a file that is written in place is not read half. It may
/// be 1 MiB long. Where a line is wrong none is taken, and the last good list stays.
///
/// ```
/// use grid_transport::{Manager, SharedSecret, peers::PeersFile};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let path = std::env::temp_dir().join(format!("grid-peers-doctest-{}", std::process::id()));
/// # std::fs::write(&path, "http://10.0.0.1:9000\nhttp://10.0.0.{2...4}:9000 # the others\n")?;
/// let file = PeersFile::new(&path);
/// let manager = Manager::builder("http://10.0.0.1:9000")
///     .peers(file.read()?)
///     .auth(SharedSecret::new("only we know"))
///     .build()?;
/// assert_eq!(manager.connections().len(), 3);
/// let following = manager.follow(file)?;
/// # following.stop().await;
/// # std::fs::remove_file(&path)?;
/// # Ok(()) }
/// ```
pub struct PeersFile {
    path: PathBuf,
    interval: Duration,
    settle: Duration,
    timeout: Duration,
    /// What stood there last, and what came of it.
    known: Option<Known>,
    /// The system can't be told to give reading up: where one hangs, the next to ask awaits that.
    reading: Option<JoinHandle<Result<Vec<u8>, SourceError>>>,
}

struct Known {
    content: Vec<u8>,
    names: Result<Vec<String>, SourceError>,
}

impl PeersFile {
    /// The file at this path, which need not be there yet.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            interval: INTERVAL,
            settle: SETTLE,
            timeout: TIMEOUT,
            known: None,
            reading: None,
        }
    }

    /// How often it is read: every five seconds by default, every 100 ms at the most.
    #[must_use]
    pub fn interval(mut self, interval: Duration) -> Self {
        self.interval = interval;
        self
    }

    /// How long it has to stand still before a change is taken: a second by default. None is needed where a new file is
    /// always moved into the place of the old one.
    #[must_use]
    pub fn settle(mut self, settle: Duration) -> Self {
        self.settle = settle;
        self
    }

    /// How long reading may take, and a file may be in motion: ten seconds by default, on top of
    /// [`settle`](Self::settle).
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// What stands there now, to build a node with. It reads where it is called: from asynchronous code through
    /// `spawn_blocking`, where that may take long.
    ///
    /// # Errors
    ///
    /// When the file can't be read, or a line is wrong; the error says which and why.
    pub fn read(&self) -> Result<Vec<String>, SourceError> {
        lines::names(&self.path, &content(&self.path)?)
    }

    /// What stands there, once it stands still.
    ///
    /// # Cancel safety
    ///
    /// Safe: what is being read is awaited by the next call.
    async fn settled(&mut self) -> Result<Vec<u8>, SourceError> {
        let mut before = self.content().await?;
        if matches!(&self.known, Some(known) if known.content == before) {
            return Ok(before);
        }
        loop {
            // tidy: sleep: a file that is being written says nothing of when it is done
            sleep(self.settle).await;
            let now = self.content().await?;
            if now == before {
                return Ok(now);
            }
            before = now;
        }
    }

    /// What stands there.
    ///
    /// # Cancel safety
    ///
    /// As of [`settled`](Self::settled).
    async fn content(&mut self) -> Result<Vec<u8>, SourceError> {
        let path = self.path.clone();
        let reading = self
            .reading
            .get_or_insert_with(|| spawn_blocking(move || content(&path)));
        let read = reading.await;
        self.reading = None;
        // Only where the runtime ends.
        read.unwrap_or_else(|error| Err(unreadable(&self.path)(io::Error::other(error))))
    }
}

impl PeerSource for PeersFile {
    fn label(&self) -> String {
        self.path.display().to_string()
    }

    fn interval(&self) -> Duration {
        self.interval
    }

    fn timeout(&self) -> Duration {
        self.timeout.saturating_add(self.settle)
    }

    fn ask(&mut self) -> BoxFuture<'_, Result<PeerList, SourceError>> {
        Box::pin(async move {
            let content = self.settled().await?;
            let names = match &self.known {
                Some(known) if known.content == content => known.names.clone(),
                _ => {
                    let names = lines::names(&self.path, &content);
                    self.known = Some(Known {
                        content,
                        names: names.clone(),
                    });
                    names
                }
            };
            Ok(PeerList::new(names?, self.interval))
        })
    }
}

/// The same file, of which nothing is known yet.
impl Clone for PeersFile {
    fn clone(&self) -> Self {
        Self {
            path: self.path.clone(),
            interval: self.interval,
            settle: self.settle,
            timeout: self.timeout,
            known: None,
            reading: None,
        }
    }
}

impl fmt::Debug for PeersFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PeersFile")
            .field("path", &self.path)
            .field("interval", &self.interval)
            .field("settle", &self.settle)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

fn content(path: &Path) -> Result<Vec<u8>, SourceError> {
    let mut content = Vec::new();
    fs::metadata(path)
        .and_then(|about| match about.is_file() {
            // To open a pipe that nobody writes to takes for ever, and no runtime ends before it.
            false => Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "it is no regular file",
            )),
            true => File::open(path),
        })
        .and_then(|file| {
            // Whatever its length is said to be: it may grow.
            let most = u64::try_from(MOST_BYTES).unwrap_or(u64::MAX);
            file.take(most.saturating_add(1)).read_to_end(&mut content)
        })
        .map_err(unreadable(path))?;
    if content.len() > MOST_BYTES {
        return Err(SourceError::TooLong {
            path: path.to_owned(),
            most: MOST_BYTES,
        });
    }
    Ok(content)
}

fn unreadable(path: &Path) -> impl FnOnce(io::Error) -> SourceError {
    let path = path.to_owned();
    move |source| SourceError::Read {
        path,
        source: Arc::new(source),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use futures_util::FutureExt;

    use super::*;

    /// What hangs is not begun again beside itself: there would be ever more threads that wait for the same.
    #[tokio::test]
    async fn what_is_being_read_is_awaited_by_the_next_to_ask() {
        let name = format!("grid-peers-hangs-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::write(&path, "http://a:9000").unwrap();
        let mut file = PeersFile::new(&path).settle(Duration::ZERO);
        let (done, hanging) = mpsc::channel();
        file.reading = Some(spawn_blocking(move || hanging.recv().unwrap()));
        for _ in 0..3 {
            assert!(file.ask().now_or_never().is_none());
            assert!(file.reading.is_some());
        }
        let error = unreadable(&path)(io::ErrorKind::TimedOut.into());
        done.send(Err(error)).unwrap();
        let error = file.ask().await.unwrap_err();
        assert!(error.to_string().ends_with(": timed out"), "{error}");
        assert_eq!(file.ask().await.unwrap().names, ["http://a:9000"]);
        fs::remove_file(&path).unwrap();
    }
}
