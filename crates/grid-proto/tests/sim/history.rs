//! A history as data: what is done, and after which pause. It comes from a seed, and a part of it is a history too.

use std::fmt;

use crate::{
    node::Kind,
    plan::{Answer, Plan},
    rng::Rng,
    style::{Counts, Style},
};

pub(crate) const MS: u64 = 1_000;
pub(crate) const SECOND: u64 = 1_000 * MS;

/// When an end learns of a cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Notice {
    After(u64),
    /// Never: it is left with half a connection.
    Never,
}

/// A lie that a stranger tells when it connects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lie {
    Host,
    Token,
    Side,
    Clock,
    Op,
    Garbage,
    Text,
}

/// Times are in microseconds.
#[derive(Debug, Clone)]
pub(crate) enum Op {
    Call(Box<Plan>),
    /// One of the open calls is cancelled, whichever.
    Cancel {
        end: usize,
        pick: u64,
    },
    /// An end refuses new calls from now on.
    Drain {
        end: usize,
    },
    /// Somebody asks for the round-trip time.
    Ping {
        end: usize,
    },
    /// Nothing arrives for a while, in one direction or in both.
    Stall {
        link: usize,
        lanes: [bool; 2],
        length: u64,
    },
    /// What one end sends gets lost from now on, and nobody is told.
    Deaf {
        end: usize,
    },
    /// The link is cut somewhere in what is under way; nothing gets through for a while.
    Cut {
        link: usize,
        seed: u64,
        notice: [Notice; 2],
        outage: u64,
    },
    /// What an end sends is cut off at this byte of this frame.
    Tear {
        end: usize,
        frame: usize,
        byte: usize,
    },
    /// A process ends, with or without telling its peers, and the next begins.
    Restart {
        node: usize,
        seed: u64,
        told: bool,
        away: u64,
    },
    /// A wall clock jumps.
    Jump {
        node: usize,
        by: i64,
    },
    /// Somebody who lies connects to the acceptor of a link.
    Stranger {
        link: usize,
        lie: Lie,
    },
}

#[derive(Debug, Clone)]
pub(crate) struct Step {
    pub(crate) pause: u64,
    pub(crate) op: Op,
}

/// What is done in which world.
#[derive(Debug, Clone)]
pub(crate) struct History {
    pub(crate) seed: u64,
    pub(crate) style: Style,
    pub(crate) steps: Vec<Step>,
}

impl fmt::Display for History {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "seed {}, {:?}", self.seed, self.style)?;
        for Step { pause, op } in &self.steps {
            writeln!(f, "after {pause:>8} us: {op:?}")?;
        }
        Ok(())
    }
}

/// Operations of a history at the least. Some come to nothing, as a call on a link that is down does.
const LEAST: u64 = 62;
/// Cuts of a history at the least, and how many more there may be.
const CUTS: u64 = 3;

impl History {
    pub(crate) fn new(seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let style = Style {
            counts: Counts::of(seed),
            ..Style::new(&mut rng)
        };
        let mut history = Self {
            seed,
            style,
            steps: Vec::new(),
        };
        let count = LEAST + rng.below(16);
        let mut cuts: Vec<u64> = Vec::new();
        let wanted = CUTS + rng.below(3) * u64::from(rng.percent(50));
        while (cuts.len() as u64) < wanted {
            let at = 6 + rng.below(count - 8);
            if !cuts.contains(&at) {
                cuts.push(at);
            }
        }
        let mut nonce = 0;
        for number in 0..count {
            let pause = history.pause(&mut rng);
            if cuts.contains(&number) {
                let op = history.cut(&mut rng);
                history.steps.push(Step { pause, op });
            } else {
                history.operation(&mut rng, number, pause, &mut nonce);
            }
        }
        history
    }

    /// The number after that of the last call.
    pub(crate) fn nonces(&self) -> usize {
        let nonces = self.steps.iter().filter_map(|step| match &step.op {
            Op::Call(plan) => Some(plan.nonce as usize + 1),
            _ => None,
        });
        nonces.max().unwrap_or(0)
    }

    fn pause(&self, rng: &mut Rng) -> u64 {
        match rng.below(40) {
            0..=14 => 0,
            15..=33 => rng.below(8 * MS),
            34..=37 => rng.range(10, 200) * MS,
            38 => rng.range(200, 2_000) * MS,
            // Long enough for whoever was left with half a connection to find out, sometimes.
            _ if self.style.nodes < 4 || rng.percent(50) => rng.range(2, 25) * SECOND,
            _ => rng.range(2, 5) * SECOND,
        }
    }

    fn operation(&mut self, rng: &mut Rng, number: u64, pause: u64, nonce: &mut u32) {
        let ends = self.style.ends();
        let op = match rng.below(96) {
            _ if number % 6 == 2 => self.call(rng, None, true, nonce),
            0..=37 => self.call(rng, None, false, nonce),
            38..=67 => self.call(rng, None, true, nonce),
            68..=73 => {
                let end = rng.index(ends);
                for _ in 0..rng.range(2, 6) {
                    let stream = rng.percent(20);
                    let op = self.call(rng, Some(end), stream, nonce);
                    self.steps.push(Step { pause: 0, op });
                }
                self.call(rng, Some(end), false, nonce)
            }
            74..=79 => Op::Cancel {
                end: rng.index(ends),
                pick: rng.next(),
            },
            80 | 81 => Op::Drain {
                end: rng.index(ends),
            },
            82 => Op::Ping {
                end: rng.index(ends),
            },
            83 | 84 => Op::Stranger {
                link: rng.index(ends / 2),
                lie: rng.pick(&[
                    Lie::Host,
                    Lie::Token,
                    Lie::Side,
                    Lie::Clock,
                    Lie::Op,
                    Lie::Garbage,
                    Lie::Text,
                ]),
            },
            85 | 86 if self.style.jumps => Op::Jump {
                node: rng.index(self.style.nodes),
                by: rng.pick(&[
                    1_000_000,
                    -299_000_000,
                    299_000_000,
                    -700_000_000,
                    86_400_000_000,
                ]),
            },
            87 if self.style.silent > 0 => Op::Deaf {
                end: rng.index(ends),
            },
            _ => {
                let longest = if self.style.long_stalls {
                    9 * SECOND
                } else {
                    150 * MS
                };
                Op::Stall {
                    link: rng.index(ends / 2),
                    lanes: rng.pick(&[[true, true], [true, false], [false, true]]),
                    length: rng.range(1, longest),
                }
            }
        };
        self.steps.push(Step { pause, op });
    }

    fn call(&self, rng: &mut Rng, end: Option<usize>, stream: bool, nonce: &mut u32) -> Op {
        let end = end.unwrap_or_else(|| rng.index(self.style.ends()));
        let number = *nonce;
        *nonce += 1;
        let mut plan = if stream {
            Plan::stream(rng, number, end, &self.style)
        } else {
            Plan::request(rng, number, end, &self.style)
        };
        if self.style.guest == Kind::Reference {
            // The reference has no such answer, and definitions that differ are ours to notice.
            if plan.answer == Answer::Refuse {
                plan.answer = Answer::Error;
            }
            plan.caller_capacity = plan.capacity;
        }
        Op::Call(Box::new(plan))
    }

    fn cut(&self, rng: &mut Rng) -> Op {
        let seed = rng.next();
        let silent = rng.percent(self.style.silent);
        if rng.percent(self.style.restarts) {
            return Op::Restart {
                node: rng.index(self.style.nodes),
                seed,
                told: !silent,
                away: rng.pick(&[MS, 50 * MS, 900 * MS]),
            };
        }
        let mut notice = [
            Notice::After(0),
            Notice::After(rng.pick(&[0, 0, 5 * MS, 150 * MS])),
        ];
        if silent {
            notice[1] = Notice::Never;
            if rng.percent(20) {
                notice[0] = Notice::Never;
            }
        }
        if rng.percent(50) {
            notice.swap(0, 1);
        }
        Op::Cut {
            link: rng.index(self.style.ends() / 2),
            seed,
            notice,
            outage: rng.pick(&[0, 0, 3 * MS, 100 * MS, 600 * MS]),
        }
    }
}
