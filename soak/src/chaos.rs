//! What goes wrong, and when: drawn from the seed, so that a seed repeats the plan.

use std::{collections::BTreeSet, time::Duration};

use crate::{enough, proxy::Cut, rng::Rng};

/// Something that goes wrong.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Fault {
    /// Between two nodes.
    Network(usize, usize, Trouble),
    /// At one node.
    Node(usize, Blow),
}

/// What a network does.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Trouble {
    /// Each piece is under way for so long.
    Delay(Duration),
    /// So many bytes a second get through.
    Throttle(u64),
    /// Nothing gets through from who dials, or to it, or neither way.
    Stall([bool; 2]),
    /// Connections are refused; those that are there stay.
    Refuse,
    /// Connections end.
    Cut(Cut),
}

/// What happens to a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blow {
    /// Its process is killed, and another one is started under its name.
    Kill,
    /// Its process stands still.
    Stop,
    /// Its clock is wrong by so many milliseconds; and its links are cut, so that it matters.
    Skew(i64),
    /// Its cable is pulled, at its own end or at the other.
    Unplug(bool),
}

impl Fault {
    /// As the table has it.
    #[must_use]
    pub const fn title(&self) -> &'static str {
        match self {
            Self::Network(_, _, trouble) => match trouble {
                Trouble::Delay(_) => "delay",
                Trouble::Throttle(_) => "throttle",
                Trouble::Stall([true, true]) => "stall both ways",
                Trouble::Stall(_) => "stall one way",
                Trouble::Refuse => "refuse",
                Trouble::Cut(Cut::Fin) => "cut (FIN)",
                Trouble::Cut(Cut::Rst) => "cut (RST)",
                Trouble::Cut(Cut::TruncateFin) => "truncate (FIN)",
                Trouble::Cut(Cut::TruncateRst) => "truncate (RST)",
            },
            Self::Node(_, blow) => match blow {
                Blow::Kill => "SIGKILL",
                Blow::Stop => "SIGSTOP",
                Blow::Skew(ms) if ms.unsigned_abs() < WITHIN => "clock within 5 min",
                Blow::Skew(_) => "clock beyond 5 min",
                Blow::Unplug(_) => "cable",
            },
        }
    }
}

/// The skew that nodes put up with, in milliseconds.
const WITHIN: u64 = 300_000;

/// A fault, how long it lasts, and how long it is until the next.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Step {
    /// What.
    pub fault: Fault,
    /// How long.
    pub lasts: Duration,
    /// How long after its begin the next one comes.
    pub next_in: Duration,
}

/// Draws faults.
#[derive(Debug)]
pub struct Chaos {
    rng: Rng,
    nodes: usize,
    cables: bool,
    steps: u64,
    /// Kinds of faults that nobody has felt yet.
    missing: BTreeSet<&'static str>,
}

impl Chaos {
    /// For so many nodes, which have cables of their own or not.
    #[must_use]
    pub fn new(seed: u64, nodes: usize, cables: bool) -> Self {
        Self {
            rng: Rng::new(seed, &[0xc4a05]),
            nodes,
            cables,
            steps: 0,
            missing: enough::faults(cables).collect(),
        }
    }

    /// The next fault: every other one is of a kind that nobody has felt yet, as long as there is
    /// one, so that a short run has them all.
    pub fn step(&mut self) -> Step {
        let (mut fault, mut lasts) = self.draw();
        self.steps += 1;
        if self.steps.is_multiple_of(2) && !self.missing.is_empty() {
            while !self.missing.contains(fault.title()) {
                (fault, lasts) = self.draw();
            }
        }
        Step {
            fault,
            lasts,
            next_in: self.rng.millis(100..900),
        }
    }

    /// Faults of this kind have been felt.
    pub fn happened(&mut self, kind: &str) {
        self.missing.remove(kind);
    }

    fn draw(&mut self) -> (Fault, Duration) {
        if self.rng.percent(70) {
            self.network()
        } else {
            self.node()
        }
    }

    fn network(&mut self) -> (Fault, Duration) {
        let one = self.any_node(0);
        let other = (one + 1 + self.any_node(1)) % self.nodes;
        let (trouble, lasts) = match self.rng.range(0..100) {
            0..15 => (Trouble::Delay(self.rng.millis(1..150)), 500..6_000),
            15..25 => (
                Trouble::Throttle(self.rng.range(20_000..2_000_000)),
                500..5_000,
            ),
            25..37 => {
                let there = self.rng.percent(50);
                (Trouble::Stall([there, !there]), 100..7_000)
            }
            37..42 => (Trouble::Stall([true; 2]), 100..7_000),
            42..50 => (Trouble::Refuse, 200..4_000),
            50..63 => (Trouble::Cut(Cut::Fin), 0..1),
            63..76 => (Trouble::Cut(Cut::Rst), 0..1),
            76..88 => (Trouble::Cut(Cut::TruncateFin), 0..1),
            _ => (Trouble::Cut(Cut::TruncateRst), 0..1),
        };
        (Fault::Network(one, other, trouble), self.rng.millis(lasts))
    }

    fn node(&mut self) -> (Fault, Duration) {
        let cable = if self.cables { 25 } else { 0 };
        let (blow, lasts) = match self.rng.range(0..75 + cable) {
            0..20 => (Blow::Kill, 0..3_000),
            20..50 => (Blow::Stop, 50..6_000),
            50..62 => (Blow::Skew(self.skew(1_000..WITHIN - 20_000)), 1_000..8_000),
            62..75 => (
                Blow::Skew(self.skew(WITHIN + 20_000..40 * WITHIN)),
                1_000..8_000,
            ),
            _ => (Blow::Unplug(self.rng.percent(50)), 300..7_000),
        };
        // The first node lives as long as the run, so that what it might leak adds up.
        let spared = usize::from(blow == Blow::Kill);
        let node = spared + self.any_node(spared);
        (Fault::Node(node, blow), self.rng.millis(lasts))
    }

    fn skew(&mut self, range: std::ops::Range<u64>) -> i64 {
        let skew = self.rng.range(range) as i64;
        if self.rng.percent(50) { skew } else { -skew }
    }

    fn any_node(&mut self, spared: usize) -> usize {
        self.rng.range(0..self.nodes.saturating_sub(spared) as u64) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_comes_and_a_seed_repeats() {
        let mut chaos = Chaos::new(1, 5, true);
        let steps: Vec<_> = (0..2_000).map(|_| chaos.step()).collect();
        let kinds: BTreeSet<_> = steps.iter().map(|step| step.fault.title()).collect();
        assert_eq!(kinds.len(), 14, "{kinds:?}");
        let mut again = Chaos::new(1, 5, true);
        assert!(steps.iter().all(|step| *step == again.step()));
        for step in steps {
            match step.fault {
                Fault::Network(one, other, _) => assert!(one != other && one.max(other) < 5),
                Fault::Node(node, blow) => assert!(node < 5 && (blow != Blow::Kill || node > 0)),
            }
        }
    }

    #[test]
    fn a_short_run_has_every_kind() {
        for seed in 0..200 {
            let mut chaos = Chaos::new(seed, 5, true);
            let mut kinds = BTreeSet::new();
            for _ in 0..40 {
                let fault = chaos.step().fault;
                chaos.happened(fault.title());
                kinds.insert(fault.title());
            }
            assert_eq!(kinds.len(), 14, "seed {seed}: {kinds:?}");
        }
    }

    #[test]
    fn without_cables_none_is_pulled() {
        let mut chaos = Chaos::new(1, 5, false);
        for _ in 0..2_000 {
            let fault = chaos.step().fault;
            assert!(!matches!(fault, Fault::Node(_, Blow::Unplug(_))));
        }
    }
}
