//! A history: random operations with cuts, and then quiet, in which everything has to end.

use std::collections::BTreeSet;

use crate::{
    coverage::Coverage,
    plan::Plan,
    world::{Outcome, Tune, World, note},
};

const MS: u64 = 1_000;
const SECOND: u64 = 1_000 * MS;
/// Operations of a history at the least; those that came to nothing don't count.
const LEAST: usize = 50;

/// What a history came to.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) seen: Coverage,
    pub(crate) operations: usize,
    pub(crate) outcome: Outcome,
    pub(crate) trace: Vec<String>,
}

pub(crate) fn run(seed: u64, tune: Tune, traced: bool) -> Report {
    let mut world = World::new(seed, tune, traced);
    let mut operations = 0;
    let outcome = world.live(&mut operations).and_then(|()| world.rest());
    Report {
        seen: world.seen,
        operations,
        outcome,
        trace: world.trace.unwrap_or_default(),
    }
}

impl World {
    fn live(&mut self, operations: &mut usize) -> Outcome {
        let count = self.rng.range(55, 75) as usize;
        let mut cuts = BTreeSet::new();
        while cuts.len() < 3 {
            cuts.insert(self.rng.range(6, count as u64 - 2) as usize);
        }
        let mut stall_free = 0;
        let mut number = 0;
        while number < count || *operations < LEAST {
            let cut = cuts.contains(&number);
            while !self.link.up && (cut || number % 6 == 2) {
                self.advance(self.now + 10 * MS)?;
            }
            let done = if cut {
                self.cut()?;
                true
            } else if number % 6 == 2 {
                self.starts(true)?
            } else {
                self.operate(&mut stall_free)?
            };
            number += 1;
            *operations += usize::from(done);
            let pause = match self.rng.below(40) {
                0..=14 => 0,
                15..=33 => self.rng.below(8 * MS),
                34..=37 => self.rng.range(10, 200) * MS,
                38 => self.rng.range(200, 2_000) * MS,
                _ => self.rng.range(2, 25) * SECOND,
            };
            self.advance(self.now + pause)?;
        }
        Ok(())
    }

    /// Does something, unless it comes to nothing: a call that is not started, a cancel of none.
    fn operate(&mut self, stall_free: &mut u64) -> Outcome<bool> {
        match self.rng.below(90) {
            0..=39 => self.starts(false),
            40..=69 => self.starts(true),
            70..=75 => {
                let node = self.rng.index(2);
                let mut any = false;
                for _ in 0..self.rng.range(3, 9) {
                    let stream = self.rng.percent(20);
                    any |= self.starts_at(node, stream)?;
                }
                Ok(any)
            }
            76..=81 => self.cancels_any(),
            82 | 83 => {
                let node = self.rng.index(2);
                note!(self, "node {node}    refuses new calls");
                self.nodes[node].conn.refuse_new();
                self.seen.saw("refuses new");
                Ok(!std::mem::replace(&mut self.nodes[node].draining, true))
            }
            _ => {
                let longest = if self.style.long_stalls {
                    9 * SECOND
                } else {
                    150 * MS
                };
                let length = self.rng.range(1, longest);
                if self.now < *stall_free || !self.link.up {
                    return Ok(false);
                }
                self.stalls(length);
                *stall_free = self.now + length + 300 * MS;
                Ok(true)
            }
        }
    }

    fn starts(&mut self, stream: bool) -> Outcome<bool> {
        let node = self.rng.index(2);
        self.starts_at(node, stream)
    }

    fn starts_at(&mut self, node: usize, stream: bool) -> Outcome<bool> {
        let nonce = self.calls.len() as u32;
        let plan = if stream {
            Plan::stream(&mut self.rng, nonce, node, &self.style)
        } else {
            Plan::request(&mut self.rng, nonce, node, &self.style)
        };
        self.start(plan)?;
        Ok(self.call(nonce).started)
    }

    fn cancels_any(&mut self) -> Outcome<bool> {
        let node = self.rng.index(2);
        let open: Vec<u32> = self.nodes[node].by_mux.values().copied().collect();
        if open.is_empty() {
            return Ok(false);
        }
        let nonce = self.rng.pick(&open);
        self.caller_cancels(nonce)?;
        Ok(true)
    }

    /// The link stands still, in one direction or in both.
    fn stalls(&mut self, length: u64) {
        note!(self, "the link stands still for {length} us");
        self.seen.saw("stalls");
        let which = self.rng.below(3);
        for lane in [0, 1] {
            if which != lane as u64 {
                self.link.lanes[lane].stalled_until = self.now + length;
            }
        }
    }

    /// After the last operation all that was begun ends by itself.
    fn rest(&mut self) -> Outcome {
        note!(self, "no more operations");
        loop {
            self.settle()?;
            if let Some(at) = self.next_work() {
                self.advance(at)?;
                continue;
            }
            self.check_quiet()?;
            let waits = self.calls.iter().any(|call| call.open);
            match self.next_time() {
                Some(at) if waits => self.advance(at)?,
                _ => break,
            }
        }
        self.check_empty()?;
        // An idle link stays as it is.
        self.advance(self.now + 25 * SECOND)?;
        while let Some(at) = self.next_work() {
            self.advance(at)?;
        }
        if self
            .nodes
            .iter()
            .any(|node| node.conn.round_trip().is_some())
        {
            self.seen.saw("round trips");
        }
        self.check_empty()
    }
}
