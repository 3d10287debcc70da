//! Applies a list of peers to a node, as it changes.

use std::{
    collections::{BTreeSet, VecDeque},
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::Duration,
};

use futures_util::FutureExt;
use tokio::{
    sync::watch,
    task::JoinHandle,
    time::{Instant, sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{PeerList, PeerSource, error::FollowError};
use crate::{
    io::Target,
    link::shared::NodeShared,
    manager::{Manager, Turn, WeakManager},
    trace::Cut,
};

/// The shortest pause between two questions, whatever a source says.
const LEAST_PAUSE: Duration = Duration::from_millis(100);

/// Warnings within [`Settings::warn_interval`](crate::Settings#structfield.warn_interval), all of them different.
const MOST_WARNINGS: usize = 16;

impl Manager {
    /// Follows a list of peers: asks `source` for it, again and again, and adds and removes remotes as it changes. The
    /// node's own name is neither added nor removed. The first list is compared with the remotes that the node was built
    /// with, later ones with those that it has by then; so a remote that was [added](Self::add_peer) or
    /// [removed](Self::remove_peer) by hand stays so until the list changes. What is no list, or
    /// [looks like a mistake](crate::peers#what-is-not-taken), changes nothing.
    ///
    /// It goes on until the [`Following`] is stopped or the node shuts down, and does not keep the node from ending when
    /// its last manager is dropped.
    ///
    /// # Errors
    ///
    /// [`FollowError::Already`]: what one list adds another would remove, so a node follows one.
    pub fn follow(&self, source: impl PeerSource) -> Result<Following, FollowError> {
        let Some(turn) = self.follow_turn() else {
            return Err(FollowError::Already {
                local: self.local().into(),
            });
        };
        let (states, seen) = watch::channel(FollowState::default());
        let stop = CancellationToken::new();
        let follower = Follower {
            label: source.label().into(),
            source,
            manager: self.downgrade(),
            node: self.node().clone(),
            states,
            last: None,
            faulty: false,
            told: VecDeque::new(),
            suppressed: 0,
        };
        // A source is code of the application, and runs where its handlers do.
        let task = self.node().spawn_handler(run(follower, stop.clone(), turn));
        Ok(Following {
            stop,
            task,
            states: seen,
        })
    }
}

/// A list of peers that is followed. It goes on when this is dropped, until the node shuts down.
pub struct Following {
    stop: CancellationToken,
    task: JoinHandle<()>,
    states: watch::Receiver<FollowState>,
}

impl Following {
    /// How it is now.
    #[must_use]
    pub fn state(&self) -> FollowState {
        self.states.borrow().clone()
    }

    /// Follows how it is: the channel always holds the newest, and closes when it has ended.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<FollowState> {
        self.states.clone()
    }

    /// Follows the list no more. The remotes stay as they are.
    ///
    /// # Cancel safety
    ///
    /// It ends all the same.
    pub async fn stop(self) {
        self.stop.cancel();
        let _ = self.task.await;
    }

    /// Returns when it has ended, which it does when the node shuts down.
    ///
    /// # Cancel safety
    ///
    /// Safe.
    pub async fn stopped(&mut self) {
        let mut states = self.states.clone();
        while states.changed().await.is_ok() {}
    }
}

impl fmt::Debug for Following {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Following")
            .field("state", &self.state())
            .finish_non_exhaustive()
    }
}

/// What came of a list that is followed.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct FollowState {
    /// How many lists were taken, each of them different from the one before.
    pub lists: u64,
    /// The names of the last one, sorted, this node's own among them.
    pub names: Arc<[String]>,
    /// Why the newest list could not be had or was not taken; `None` where it was.
    pub fault: Option<Arc<FollowError>>,
}

struct Follower<S> {
    label: Box<str>,
    source: S,
    /// Not ours to keep: the node ends with its last manager.
    manager: WeakManager,
    node: Arc<NodeShared>,
    states: watch::Sender<FollowState>,
    /// The last list that was taken.
    last: Option<BTreeSet<String>>,
    /// Whether the newest one was not.
    faulty: bool,
    /// What was warned of, and when; and how often nothing was said since.
    told: VecDeque<(String, Instant)>,
    suppressed: u64,
}

async fn run(mut follower: Follower<impl PeerSource>, stop: CancellationToken, turn: Turn) {
    let node = follower.node.clone();
    tokio::select! {
        biased;
        () = stop.cancelled() => {}
        () = node.shutdown.draining().cancelled() => {}
        () = follower.follow() => {}
    }
    // Whoever is told that it has ended may follow another list.
    drop(turn);
    drop(follower);
}

impl<S: PeerSource> Follower<S> {
    /// Ends when the node is gone.
    ///
    /// # Cancel safety
    ///
    /// No list is taken in part.
    async fn follow(&mut self) {
        loop {
            let (interval, asked) = self.ask().await;
            let (pause, outcome) = match asked {
                Ok(list) => {
                    let Some(manager) = self.manager.upgrade() else {
                        return;
                    };
                    (list.again, self.take(&manager, list.names))
                }
                Err(fault) => (interval, Err(fault)),
            };
            match outcome {
                Ok(()) => self.mended(),
                Err(fault) => self.tell(fault),
            }
            // tidy: sleep: the pause between two questions is the point
            sleep(pause.max(LEAST_PAUSE)).await;
        }
    }

    /// Asks the source.
    ///
    /// # Cancel safety
    ///
    /// As of [`PeerSource::ask`].
    async fn ask(&mut self) -> (Duration, Result<PeerList, FollowError>) {
        let source = &mut self.source;
        let times = catch_unwind(AssertUnwindSafe(|| (source.interval(), source.timeout())));
        let Ok((interval, after)) = times else {
            let label = self.label.clone();
            return (LEAST_PAUSE, Err(FollowError::Panicked { label }));
        };
        let asked = AssertUnwindSafe(async { source.ask().await }).catch_unwind();
        let answer = match timeout(after, asked).await {
            Ok(Ok(answer)) => answer.map_err(FollowError::from),
            Ok(Err(_)) => Err(FollowError::Panicked {
                label: self.label.clone(),
            }),
            Err(_) => Err(FollowError::Late {
                label: self.label.clone(),
                after,
            }),
        };
        (interval, answer)
    }

    fn take(&mut self, manager: &Manager, names: Vec<String>) -> Result<(), FollowError> {
        let names: BTreeSet<String> = names.into_iter().collect();
        if self.last.as_ref() == Some(&names) {
            return Ok(());
        }
        self.check(manager, &names)?;
        self.apply(manager, &names);
        self.states.send_modify(|state| {
            state.lists += 1;
            state.names = names.iter().cloned().collect();
            state.fault = None;
        });
        self.last = Some(names);
        Ok(())
    }

    /// Whether a list may be meant.
    fn check(&self, manager: &Manager, names: &BTreeSet<String>) -> Result<(), FollowError> {
        let (label, local) = (&self.label, manager.local());
        for name in names {
            Target::new(name).map_err(|fault| FollowError::Name {
                label: label.clone(),
                name: name.as_str().into(),
                reason: fault.text(),
            })?;
        }
        if !names.contains(local) {
            return Err(FollowError::LocalMissing {
                label: label.clone(),
                local: local.into(),
                names: names.len(),
            });
        }
        let links = manager.connections().len();
        if names.len() == 1 && links > 0 {
            return Err(FollowError::Alone {
                label: label.clone(),
                local: local.into(),
                links,
            });
        }
        Ok(())
    }

    fn apply(&self, manager: &Manager, names: &BTreeSet<String>) {
        let there: BTreeSet<String> = manager
            .connections()
            .iter()
            .map(|connection| connection.name().to_owned())
            .collect();
        let mut removed: Vec<&str> = there.difference(names).map(String::as_str).collect();
        let mut added: Vec<&str> = names
            .difference(&there)
            .map(String::as_str)
            .filter(|name| *name != manager.local())
            .collect();
        // Somebody else may have done it meanwhile.
        removed.retain(|name| manager.remove_peer(name).is_ok());
        added.retain(|name| manager.add_peer(name).is_ok());
        if !added.is_empty() || !removed.is_empty() {
            tracing::info!(
                target: "grid::peers",
                local = %self.node.local,
                source = %Cut(&self.label),
                added = %Cut(added.join(" ")),
                removed = %Cut(removed.join(" ")),
                "the list of peers has changed"
            );
        }
    }

    fn tell(&mut self, fault: FollowError) {
        let text = Cut(&fault).to_string();
        let (now, interval) = (Instant::now(), self.node.settings.warn_interval);
        while let Some((_, at)) = self.told.front()
            && now >= *at + interval
        {
            self.told.pop_front();
        }
        // There may be another text each time.
        if self.told.len() >= MOST_WARNINGS || self.told.iter().any(|(told, _)| *told == text) {
            self.suppressed += 1;
        } else {
            let suppressed = std::mem::take(&mut self.suppressed);
            tracing::warn!(
                target: "grid::peers",
                local = %self.node.local,
                source = %Cut(&self.label),
                suppressed,
                cause = %text,
                "the list of peers is not taken, and the last good one stays"
            );
            self.told.push_back((text, now));
        }
        self.faulty = true;
        self.states
            .send_modify(|state| state.fault = Some(Arc::new(fault)));
    }

    /// The list is the last good one, or has become it.
    fn mended(&mut self) {
        if std::mem::take(&mut self.faulty) {
            self.states.send_modify(|state| state.fault = None);
        }
    }
}
