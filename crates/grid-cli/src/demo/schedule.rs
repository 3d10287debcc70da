//! When which connection is cut, and what each cut did.
//!
//! A plain state machine without sockets or a clock: told what happened, asked what to do next.

use std::time::Duration;

use super::proxy::{Aim, CutDone, CutKind, Side};
use crate::{table, values::Span};

/// A pair is cut again only after its link has been up for so long.
const SETTLED: Duration = Duration::from_millis(300);
/// A cut inside a frame lets up to so many bytes pass first.
const MAX_AIM: usize = 48 * 1024;

/// A cut that was carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Cut {
    pub(super) pair: usize,
    pub(super) kind: CutKind,
    pub(super) at: Duration,
    pub(super) mid_frame: bool,
    /// Requests that were open on the link, of both ends.
    pub(super) calls: u64,
    /// Streams that were open on the link, of both ends.
    pub(super) streams: u64,
    /// How long both ends needed to find each other again.
    pub(super) healed_after: Option<Duration>,
}

impl Cut {
    /// Whether it hit a link with calls open.
    pub(super) fn has_hit(&self) -> bool {
        self.calls + self.streams > 0
    }

    /// What it did, once it has healed.
    pub(super) fn summary(&self) -> String {
        format!(
            "is back after {}, {} calls and {} streams were interrupted",
            table::duration(self.healed_after.unwrap_or_default()),
            self.calls,
            self.streams
        )
    }
}

/// An order for the proxy of a pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Order {
    pub(super) pair: usize,
    pub(super) kind: CutKind,
    pub(super) aim: Aim,
}

#[derive(Clone, Debug, Default)]
struct Pair {
    /// Whether the link is up, as either end sees it.
    up: [bool; 2],
    /// Whether either end has noticed the last cut.
    noticed: [bool; 2],
    up_since: Duration,
    ordered: bool,
    /// What the ends have told of the order that is out: they may be faster than the proxy's report.
    early: Early,
    cuts: usize,
    last_cut: Option<usize>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Early {
    calls: u64,
    streams: u64,
    healed_at: Option<Duration>,
}

impl Pair {
    fn is_up(&self) -> bool {
        self.up == [true; 2]
    }
}

/// The plan of a demo. Times count from its start.
#[derive(Debug)]
pub(super) struct Schedule {
    pairs: Vec<Pair>,
    cuts: Vec<Cut>,
    wanted: usize,
    time: Span,
    next_at: Duration,
    kinds: Vec<CutKind>,
}

impl Schedule {
    pub(super) fn new(pairs: usize, wanted: usize, time: Span) -> Self {
        let mut schedule = Self {
            pairs: vec![Pair::default(); pairs],
            cuts: Vec::new(),
            wanted,
            time,
            next_at: Duration::ZERO,
            kinds: Vec::new(),
        };
        schedule.next_at = schedule.gap();
        schedule
    }

    /// An end of a pair says that its link came up or was lost. Returns the cut that has healed by
    /// that: both ends have lost each other since, and both are connected again.
    pub(super) fn link(
        &mut self,
        now: Duration,
        pair: usize,
        end: usize,
        up: bool,
    ) -> Option<&Cut> {
        let pair = self.pairs.get_mut(pair)?;
        if let Some(state) = pair.up.get_mut(end) {
            *state = up;
        }
        if let Some(noticed) = pair.noticed.get_mut(end) {
            *noticed |= !up;
        }
        if !pair.is_up() {
            return None;
        }
        pair.up_since = now;
        if pair.noticed != [true; 2] {
            return None;
        }
        if pair.ordered {
            pair.early.healed_at = Some(now);
            return None;
        }
        let cut = self.cuts.get_mut(pair.last_cut?)?;
        if cut.healed_after.is_some() {
            return None;
        }
        cut.healed_after = Some(now.saturating_sub(cut.at));
        Some(cut)
    }

    /// An end of a pair says that so many more of its calls and streams were interrupted: by the
    /// order that is out, or else by the last cut of the pair.
    pub(super) fn interrupted(&mut self, pair: usize, calls: u64, streams: u64) {
        let Some(pair) = self.pairs.get_mut(pair) else {
            return;
        };
        if pair.ordered {
            pair.early.calls += calls;
            pair.early.streams += streams;
            return;
        }
        let last = pair.last_cut;
        if let Some(cut) = last.and_then(|last| self.cuts.get_mut(last)) {
            cut.calls += calls;
            cut.streams += streams;
        }
    }

    /// The next cut, if it is time for one and a link is up for it.
    pub(super) fn next_order(&mut self, now: Duration) -> Option<Order> {
        let open = self.pairs.iter().filter(|pair| pair.ordered).count()
            + self
                .cuts
                .iter()
                .filter(|cut| !cut.has_hit() && cut.healed_after.is_none())
                .count();
        if now < self.next_at || now >= self.time.most || self.hits() + open >= self.wanted {
            return None;
        }
        let ready = |pair: &Pair| {
            pair.is_up() && !pair.ordered && now.saturating_sub(pair.up_since) >= SETTLED
        };
        let fewest = self
            .pairs
            .iter()
            .filter(|pair| ready(pair))
            .map(|pair| pair.cuts)
            .min()?;
        let choice: Vec<usize> = (0..)
            .zip(&self.pairs)
            .filter(|(_, pair)| ready(pair) && pair.cuts == fewest)
            .map(|(at, _)| at)
            .collect();
        let pair = *choice.get(rand::random_range(0..choice.len()))?;
        let chosen = self.pairs.get_mut(pair)?;
        chosen.ordered = true;
        // Set when the order is given: an end may notice before the proxy has reported.
        chosen.noticed = [false; 2];
        chosen.early = Early::default();
        self.next_at = now + self.gap();
        Some(Order {
            pair,
            kind: self.next_kind(),
            aim: random_aim(),
        })
    }

    /// The proxy has carried out an order; `None` when there was nothing to cut. `at` is when it
    /// did. Returns the cut if it has healed already.
    pub(super) fn carried_out(
        &mut self,
        at: Duration,
        order: Order,
        done: Option<CutDone>,
    ) -> Option<&Cut> {
        let pair = self.pairs.get_mut(order.pair)?;
        pair.ordered = false;
        let Early {
            calls,
            streams,
            healed_at,
        } = pair.early;
        let Some(CutDone { mid_frame, .. }) = done else {
            self.interrupted(order.pair, calls, streams);
            return None;
        };
        pair.cuts += 1;
        pair.last_cut = Some(self.cuts.len());
        self.cuts.push(Cut {
            pair: order.pair,
            kind: order.kind,
            at,
            mid_frame,
            calls,
            streams,
            healed_after: healed_at.map(|healed| healed.saturating_sub(at)),
        });
        self.cuts.last().filter(|cut| cut.healed_after.is_some())
    }

    /// Whether it is time to end: every cut has hit and healed, or there is no time left.
    pub(super) fn is_done(&self, now: Duration) -> bool {
        let healed = self.cuts.iter().all(|cut| cut.healed_after.is_some()) && self.all_up();
        now >= self.time.most || (now >= self.time.least && self.hits() >= self.wanted && healed)
    }

    pub(super) fn all_up(&self) -> bool {
        self.pairs.iter().all(Pair::is_up)
    }

    pub(super) fn hits(&self) -> usize {
        self.cuts.iter().filter(|cut| cut.has_hit()).count()
    }

    pub(super) fn wanted(&self) -> usize {
        self.wanted
    }

    pub(super) fn cuts(&self) -> &[Cut] {
        &self.cuts
    }

    /// Cuts spread over the least time, with a fifth of it left to come to rest.
    fn gap(&self) -> Duration {
        let slots = u32::try_from(self.wanted + 1).unwrap_or(u32::MAX);
        (self.time.least.mul_f64(0.8) / slots).mul_f64(rand::random_range(0.5..1.5))
    }

    /// Every kind comes once before one comes again.
    fn next_kind(&mut self) -> CutKind {
        if self.kinds.is_empty() {
            self.kinds = CutKind::ALL.to_vec();
        }
        let at = rand::random_range(0..self.kinds.len());
        self.kinds.swap_remove(at)
    }
}

/// Two of three cuts aim inside a frame; the others hit wherever the traffic stands.
fn random_aim() -> Aim {
    let toward = if rand::random() {
        Side::Acceptor
    } else {
        Side::Dialer
    };
    match rand::random_range(0..3) {
        0 => Aim::Now,
        _ => Aim::MidFrame {
            after: rand::random_range(1..MAX_AIM),
            toward,
        },
    }
}

#[cfg(test)]
mod tests;
