//! Makes a history that goes wrong as small as it still goes wrong in the same way.

use crate::{history::History, world::Outcome};

/// How often a history is run to shrink it, at the most.
const MOST_RUNS: usize = 3_000;

/// What a failure is, whatever the numbers in its words.
pub(crate) fn kind(why: &str) -> String {
    let mut kind: String = why.chars().filter(|c| !c.is_ascii_digit()).collect();
    // What follows are details.
    if let Some(colon) = kind.find(": ").filter(|at| *at > 12) {
        kind.truncate(colon);
    }
    kind
}

/// The smallest history found, and how it goes wrong.
pub(crate) fn shrink(
    history: History,
    why: &str,
    run: &dyn Fn(&History) -> Outcome,
) -> (History, String) {
    let mut shrinker = Shrinker {
        kind: kind(why),
        reason: why.to_owned(),
        history,
        runs: 0,
        run,
    };
    while shrinker.runs < MOST_RUNS {
        let before = shrinker.history.steps.len();
        shrinker.remove_steps();
        shrinker.remove_pauses();
        if shrinker.history.steps.len() == before {
            break;
        }
    }
    (shrinker.history, shrinker.reason)
}

struct Shrinker<'a> {
    kind: String,
    reason: String,
    history: History,
    runs: usize,
    run: &'a dyn Fn(&History) -> Outcome,
}

impl Shrinker<'_> {
    /// Takes a smaller history for the history, if it goes wrong in the same way.
    fn takes(&mut self, smaller: History) -> bool {
        self.runs += 1;
        match (self.run)(&smaller) {
            Err(why) if kind(&why) == self.kind => {
                (self.reason, self.history) = (why, smaller);
                true
            }
            _ => false,
        }
    }

    /// Delta debugging: leaves out as many steps at once as can be, and then fewer. What they waited for stays, so that
    /// the others happen when they did.
    fn remove_steps(&mut self) {
        let mut size = self.history.steps.len().div_ceil(2);
        while size > 0 && self.runs < MOST_RUNS {
            let mut at = 0;
            while at < self.history.steps.len() && self.runs < MOST_RUNS {
                let mut smaller = self.history.clone();
                let end = (at + size).min(smaller.steps.len());
                let paused: u64 = smaller.steps.drain(at..end).map(|step| step.pause).sum();
                if let Some(next) = smaller.steps.get_mut(at) {
                    next.pause += paused;
                }
                if !self.takes(smaller) {
                    at += size;
                }
            }
            size /= 2;
        }
    }

    fn remove_pauses(&mut self) {
        for at in 0..self.history.steps.len() {
            for by in [0, 4, 2] {
                let pause = self.history.steps[at].pause;
                let shorter = pause.checked_div(by).unwrap_or(0);
                if shorter < pause {
                    let mut smaller = self.history.clone();
                    smaller.steps[at].pause = shorter;
                    if self.takes(smaller) {
                        break;
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::Op;

    fn nonces(history: &History) -> Vec<u32> {
        let calls = history.steps.iter().filter_map(|step| match &step.op {
            Op::Call(plan) => Some(plan.nonce),
            _ => None,
        });
        calls.collect()
    }

    #[test]
    fn what_does_not_matter_is_left_out() {
        let fails = |history: &History| {
            let nonces = nonces(history);
            if nonces.contains(&7) && nonces.contains(&20) {
                Err(format!("{} calls went wrong", nonces.len()))
            } else {
                Ok(())
            }
        };
        let history = History::new(1);
        let why = fails(&history).unwrap_err();
        let (small, reason) = shrink(history, &why, &fails);
        assert_eq!(nonces(&small), [7, 20]);
        assert_eq!(small.steps.len(), 2);
        assert!(small.steps.iter().all(|step| step.pause == 0));
        assert_eq!(reason, "2 calls went wrong");
    }

    #[test]
    fn another_failure_is_not_the_same() {
        let fails = |history: &History| match history.steps.len() {
            0..30 => Err("another".to_owned()),
            _ => Err("the one".to_owned()),
        };
        let (small, reason) = shrink(History::new(1), "the one", &fails);
        assert_eq!((small.steps.len(), reason.as_str()), (30, "the one"));
        assert_eq!(kind("call 3 waits: sent 7"), kind("call 12 waits: sent 9"));
    }
}
