//! The leader: sends each follower what it lacks, and knows what a majority has.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use grid_transport::Connection;
use grid_typed::TypedError;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::log::Log;
use crate::protocol::{Entry, FOLLOW, Opening};

/// Between two streams to the same follower, which may have refused the first.
const PAUSE: Duration = Duration::from_millis(50);

/// What is known of one follower.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Progress {
    /// Entries that it has stored.
    pub(crate) stored: u64,
    /// Entries that were sent to it, on all streams together.
    pub(crate) sent: u64,
}

pub(crate) struct Leader {
    log: Arc<Log>,
    followers: watch::Sender<Vec<Progress>>,
    closed: watch::Sender<bool>,
    /// One task for each follower.
    feeds: JoinSet<()>,
}

impl Leader {
    /// Begins to lead these followers.
    pub(crate) fn new(log: Arc<Log>, peers: Vec<Connection>) -> Self {
        let followers = watch::Sender::new(vec![Progress::default(); peers.len()]);
        let closed = watch::Sender::new(false);
        let mut feeds = JoinSet::new();
        for (place, peer) in peers.into_iter().enumerate() {
            let feed = Feed {
                log: log.clone(),
                peer,
                place,
                followers: followers.clone(),
                closed: closed.subscribe(),
            };
            feeds.spawn(feed.run());
        }
        Self {
            log,
            followers,
            closed,
            feeds,
        }
    }

    /// Adds an entry, which goes to all followers from now on, and returns its index.
    pub(crate) fn append(&self, data: Vec<u8>) -> u64 {
        self.log.push(data)
    }

    /// Waits until a majority has stored that entry, so that it outlives whichever minority dies. No
    /// follower that is slow or away is waited for, as long as enough others are there. Where they are
    /// not it waits until they are: whoever has less patience puts a timeout around it, and the entry may
    /// still be committed later.
    ///
    /// # Cancel safety
    ///
    /// Safe: it only waits.
    pub(crate) async fn committed(&self, index: u64) {
        let stored_by_majority = |followers: &Vec<Progress>| {
            let stored = followers.iter().map(|follower| follower.stored);
            of_majority(stored.chain([self.log.len()]).collect()) > index
        };
        let mut followers = self.followers.subscribe();
        // Its sender lives as long as the leader.
        let _ = followers.wait_for(stored_by_majority).await;
    }

    /// What is known of the followers, now and later, in the order in which they were given.
    pub(crate) fn followers(&self) -> watch::Receiver<Vec<Progress>> {
        self.followers.subscribe()
    }

    /// Ends the streams once all that is in the log is stored everywhere, and says whether that was
    /// in time.
    ///
    /// # Cancel safety
    ///
    /// The streams are cancelled.
    pub(crate) async fn close(mut self, grace: Duration) -> bool {
        self.closed.send_replace(true);
        let all = async { while self.feeds.join_next().await.is_some() {} };
        timeout(grace, all).await.is_ok()
    }
}

/// How many entries more than half of the nodes have.
fn of_majority(mut entries: Vec<u64>) -> u64 {
    entries.sort_unstable_by(|a, b| b.cmp(a));
    entries.get(entries.len() / 2).copied().unwrap_or_default()
}

/// Keeps one follower up to date.
struct Feed {
    log: Arc<Log>,
    peer: Connection,
    /// Which of the followers it is.
    place: usize,
    followers: watch::Sender<Vec<Progress>>,
    closed: watch::Receiver<bool>,
}

impl Feed {
    /// A stream ends with its connection. Then another is opened, which goes on where the follower
    /// really is: what was sent and not stored is sent again, and nothing else.
    async fn run(self) {
        loop {
            match self.stream().await {
                Ok(()) => return,
                Err(error) => println!("the stream to {} has ended: {error}", self.peer.name()),
            }
            if self.peer.connected().await.is_err() {
                // This node shuts down.
                return;
            }
            // tidy: sleep: a follower that refuses the stream is not asked without a pause
            sleep(PAUSE).await;
        }
    }

    /// One stream, until the leader is closed and all is stored.
    async fn stream(&self) -> Result<(), Box<dyn Error + Send + Sync>> {
        let opening = Opening {
            entries: self.log.len(),
        };
        let stream = FOLLOW.open(&self.peer, &opening).wait_ready().await?;
        let (mut sender, mut receiver) = stream.split();
        let Some(first) = receiver.recv().await else {
            return Err("the follower did not say how many entries it has".into());
        };
        let mut next = first?.entries;
        println!("{} has {next} entries", self.peer.name());
        self.tell(|progress| progress.stored = next);

        // Both at the same time. One after the other would come to a stop: with the window full of what
        // nobody takes back, nothing more can be sent.
        let sending = async {
            while let Some(entry) = self.entry(next).await {
                // Waits while the window is full.
                sender.send(&entry).await?;
                self.tell(|progress| progress.sent += 1);
                next += 1;
            }
            sender.finish();
            Ok::<_, TypedError>(())
        };
        let receiving = async {
            while let Some(stored) = receiver.recv().await {
                let entries = stored?.entries;
                self.tell(|progress| progress.stored = entries);
            }
            Ok(())
        };
        tokio::try_join!(sending, receiving)?;
        Ok(())
    }

    /// The entry of that index, once it is there; none where the leader is closed before.
    async fn entry(&self, index: u64) -> Option<Entry> {
        let (mut entries, mut closed) = (self.log.watch(), self.closed.clone());
        loop {
            if let Some(entry) = self.log.get(index) {
                return Some(entry);
            }
            tokio::select! {
                more = entries.wait_for(|entries| *entries > index) => { more.ok()?; }
                _ = closed.wait_for(|closed| *closed) => return None,
            }
        }
    }

    fn tell(&self, what: impl FnOnce(&mut Progress)) {
        self.followers.send_modify(|followers| {
            if let Some(progress) = followers.get_mut(self.place) {
                what(progress);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_majority_is_more_than_half() {
        for (entries, committed) in [
            (vec![7], 7),
            (vec![7, 3], 3),
            (vec![7, 0, 5], 5),
            (vec![7, 0, 0], 0),
            (vec![7, 6, 5, 4], 5),
            (vec![9, 8, 3, 2, 1], 3),
        ] {
            assert_eq!(of_majority(entries.clone()), committed, "{entries:?}");
        }
    }
}
