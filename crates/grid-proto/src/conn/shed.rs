//! Which stream ends where more would be held than may be: the one that holds most bytes unread.

use std::collections::BinaryHeap;

use super::{Call, CallError, Connection, event::CancelReason};

/// So many are found by one look at all streams. A peer that has each of its items end a stream would otherwise have all
/// of them looked at for each.
const FOUND: usize = 256;

/// What is held of a stream, its mux, and whether the call is ours. Of two that hold the same the later one is ended.
type Holder = (usize, u64, bool);

/// The streams that hold most. What they hold is known but for what was read since: that is seen when one is to end.
#[derive(Debug, Default)]
pub(super) struct Holders {
    most: BinaryHeap<Holder>,
    /// No stream that isn't among them holds more.
    floor: usize,
    /// How often all streams were looked at.
    #[cfg(test)]
    pub(super) looks: usize,
}

impl Holders {
    /// A stream holds more than before.
    pub(super) fn grew(&mut self, holder: Holder) {
        // Where none is known all are looked at in any case.
        if self.most.is_empty() || holder.0 <= self.floor {
            return;
        }
        if self.most.len() < 4 * FOUND {
            self.most.push(holder);
        } else {
            self.forget();
        }
    }

    pub(super) fn forget(&mut self) {
        self.most = BinaryHeap::new();
    }

    fn fill(&mut self, mut all: Vec<Holder>) {
        #[cfg(test)]
        {
            self.looks += 1;
        }
        self.floor = 0;
        if all.len() > FOUND {
            let (_, next, _) = all.select_nth_unstable_by(FOUND, |a, b| b.cmp(a));
            self.floor = next.0;
            all.truncate(FOUND);
            // The room of all of them is not kept for a few.
            all.shrink_to_fit();
        }
        self.most = all.into();
    }
}

impl Connection {
    /// Whether too much is held for `bytes` more, beyond what streams that were ended for it are about to give back.
    pub(super) fn has_to_shed(&self, bytes: usize) -> bool {
        !self.config.inbound.admits(bytes, self.shed_bytes)
    }

    /// Makes room by ending the stream that holds most bytes unread, with the item that comes: its mux, whether that is of
    /// a call of ours, and what it counts.
    pub(super) fn shed(&mut self, (of, by_us, cost): (u64, bool, usize)) {
        let comes = self.unread(of, by_us).unwrap_or_default();
        let most = self.holds_most().unwrap_or_default();
        let (held, mux, ours) = most.max((comes + cost, of, by_us));
        self.shed_bytes += if (mux, ours) == (of, by_us) {
            comes
        } else {
            held
        };
        if ours {
            self.fail_call(mux, CallError::Overloaded);
        } else {
            self.cut_incoming(mux, CancelReason::Overloaded);
        }
    }

    /// What nobody has read of a stream that is open.
    fn unread(&self, mux: u64, ours: bool) -> Option<usize> {
        if ours {
            match self.calls.get(&mux)? {
                Call::Stream(stream) => Some(stream.unread.held()),
                Call::Request(_) => None,
            }
        } else {
            let open = self.incoming.get(&mux)?;
            // What a handler that has returned or was stopped has not read went with it.
            open.ending.is_open().then(|| open.unread.held())
        }
    }

    fn holds_most(&mut self) -> Option<Holder> {
        let mut looked = false;
        loop {
            let Some(&(was, mux, ours)) = self.holders.most.peek() else {
                if looked {
                    return None;
                }
                looked = true;
                let all = self.all_holders();
                self.holders.fill(all);
                continue;
            };
            let held = self.unread(mux, ours);
            if held == Some(was) {
                return Some((was, mux, ours));
            }
            self.holders.most.pop();
            // What holds more than it did is among them once more, and stood before this.
            if let Some(held) = held.filter(|held| (self.holders.floor + 1..was).contains(held)) {
                self.holders.most.push((held, mux, ours));
            }
        }
    }

    fn all_holders(&self) -> Vec<Holder> {
        let calls = self.calls.iter().filter_map(|(mux, call)| match call {
            Call::Stream(stream) => Some((stream.unread.held(), *mux, true)),
            Call::Request(_) => None,
        });
        let incoming = self
            .incoming
            .iter()
            .filter(|(_, open)| open.ending.is_open())
            .map(|(mux, open)| (open.unread.held(), *mux, false));
        let all = calls.chain(incoming);
        all.filter(|(held, ..)| *held > 0).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(held: impl IntoIterator<Item = usize>) -> Holders {
        let mut holders = Holders::default();
        let all = held.into_iter().enumerate();
        holders.fill(all.map(|(mux, held)| (held, mux as u64, true)).collect());
        holders
    }

    #[test]
    fn those_that_hold_most_are_kept_in_order() {
        for streams in [1, FOUND - 1, FOUND, FOUND + 1, 10 * FOUND] {
            let mut holders = filled(1..=streams);
            assert_eq!(holders.floor, streams.saturating_sub(FOUND));
            for expected in (holders.floor + 1..=streams).rev() {
                assert_eq!(holders.most.pop().map(|(held, ..)| held), Some(expected));
            }
            assert!(holders.most.is_empty());
        }
    }

    #[test]
    fn what_grows_beyond_the_rest_is_among_them_and_they_stay_few() {
        let mut holders = filled(1..=FOUND + 10);
        assert_eq!(holders.floor, 10);
        holders.grew((10, 9_000, false));
        assert_eq!(holders.most.len(), FOUND);
        holders.grew((11, 9_000, false));
        assert_eq!(holders.most.len(), FOUND + 1);
        for held in 12..4 * FOUND {
            holders.grew((held, 9_000, false));
            assert!(holders.most.len() <= 4 * FOUND);
        }
        holders.forget();
        holders.grew((1 << 20, 9_000, false));
        assert!(holders.most.is_empty(), "not one that is taken for all");
    }
}
