//! What the log is told of a link, whose states may change far more often than anybody wants to read.

use std::{convert::Infallible, mem, time::Duration};

use parking_lot::Mutex;
use tokio::{
    sync::Notify,
    time::{Instant, sleep_until},
};

use super::shared::LinkShared;
use crate::{state::LinkState, trace::Cut};

/// So many lines may come together: what happens as a node starts, or as a peer restarts twice.
const BURST: u32 = 10;

/// After that one comes in this time.
const REFILL: Duration = Duration::from_secs(60);

/// Bounds the lines about one remote, and counts those that were left out.
#[derive(Debug)]
pub(crate) struct Teller {
    state: Mutex<State>,
    owed: Notify,
}

#[derive(Debug)]
struct State {
    /// Lines that may come now.
    left: u32,
    /// When the last of them was added.
    filled: Instant,
    suppressed: u64,
}

impl Teller {
    pub(crate) fn new() -> Self {
        Self {
            state: Mutex::new(State {
                left: BURST,
                filled: Instant::now(),
                suppressed: 0,
            }),
            owed: Notify::new(),
        }
    }

    /// `Some(n)` when a line may come now; `n` is how many were left out since the last one.
    pub(crate) fn allow(&self) -> Option<u64> {
        let mut state = self.state.lock();
        state.refill();
        let Some(left) = state.left.checked_sub(1) else {
            state.suppressed += 1;
            drop(state);
            self.owed.notify_one();
            return None;
        };
        state.left = left;
        Some(mem::take(&mut state.suppressed))
    }

    /// Waits until lines were left out and one may come again; for the newest state, which is the one that counts.
    ///
    /// # Cancel safety
    ///
    /// Safe.
    pub(crate) async fn due(&self) {
        loop {
            let at = {
                let state = self.state.lock();
                (state.suppressed > 0).then(|| state.filled + REFILL)
            };
            let Some(at) = at else {
                self.owed.notified().await;
                continue;
            };
            // tidy: sleep: lines are spaced in time
            sleep_until(at).await;
            let mut state = self.state.lock();
            state.refill();
            if state.suppressed > 0 && state.left > 0 {
                return;
            }
        }
    }
}

impl State {
    fn refill(&mut self) {
        let now = Instant::now();
        while self.left < BURST && now.duration_since(self.filled) >= REFILL {
            self.filled += REFILL;
            self.left += 1;
        }
        if self.left == BURST {
            self.filled = now;
        }
    }
}

impl LinkShared {
    /// Publishes a state; those who watch see every one that lasts. True when the log was told of it.
    pub(crate) fn set_state(&self, state: LinkState) -> bool {
        if let Some(cause) = state.last_cause() {
            self.counters.down(cause);
        }
        let before = self.state.send_replace(state.clone());
        self.node.measure.changed(&before, &state);
        let (local, remote) = (&*self.node.local, &*self.name);
        let changed = mem::discriminant(&before) != mem::discriminant(&state);
        if changed {
            self.counters.state_changed();
        }
        match changed.then(|| self.teller.allow()).flatten() {
            Some(suppressed) => {
                self.tell(suppressed, &state);
                true
            }
            None => {
                let state = Cut(&state);
                tracing::debug!(target: "grid::link", local, remote, %state, "link state");
                false
            }
        }
    }

    /// Tells of the newest state once that is due, where it was left out.
    pub(crate) async fn tell_late(&self) -> Infallible {
        loop {
            self.teller.due().await;
            if let Some(suppressed) = self.teller.allow() {
                self.tell(suppressed, &self.state());
            }
        }
    }

    fn tell(&self, suppressed: u64, state: &LinkState) {
        tracing::info!(
            target: "grid::link",
            local = &*self.node.local,
            remote = &*self.name,
            suppressed,
            state = %Cut(state),
            "link state"
        );
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::{advance, timeout};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_burst_and_then_one_a_minute() {
        let teller = Teller::new();
        advance(10 * REFILL).await;
        for _ in 0..BURST {
            assert_eq!(teller.allow(), Some(0));
        }
        assert!(
            timeout(10 * REFILL, teller.due()).await.is_err(),
            "nothing is owed"
        );
        let teller = Teller::new();
        for _ in 0..BURST {
            assert_eq!(teller.allow(), Some(0));
        }
        for _ in 0..7 {
            assert_eq!(teller.allow(), None);
        }
        let began = Instant::now();
        teller.due().await;
        assert_eq!(began.elapsed(), REFILL);
        assert_eq!(teller.allow(), Some(7));
        assert_eq!(teller.allow(), None);
        advance(100 * REFILL).await;
        assert_eq!(teller.allow(), Some(1));
        for _ in 1..BURST {
            assert_eq!(teller.allow(), Some(0));
        }
        assert_eq!(teller.allow(), None);
    }
}
