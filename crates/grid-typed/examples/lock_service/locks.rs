//! A node's caller: asks all servers, counts, and takes back what was not enough.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use grid_transport::Connection;
use tokio::time::{Instant, sleep};

use crate::held::Held;
use crate::protocol::{Ask, Mode, Op, Verdict};
use crate::server::Server;

/// The longest pause between two attempts at first, and at last; each is a random part of it, so that
/// callers who took a server from each other do not meet again.
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LAST_PAUSE: Duration = Duration::from_millis(200);

/// The same on all nodes.
#[derive(Clone, Copy)]
pub(crate) struct Timing {
    /// For how long a server lends a lock.
    pub(crate) lease: Duration,
    /// How often a holder asks for more. Several fit into a lease, so that one may get lost.
    pub(crate) refresh: Duration,
    /// How long a server has to answer.
    pub(crate) answer: Duration,
    /// How much sooner than the servers a holder takes its lease to be over: for clocks that don't
    /// run alike, and to come to a stop.
    pub(crate) margin: Duration,
}

/// Locks resources at all servers, of which the node's own is one. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Locks(Arc<Inner>);

struct Inner {
    local: String,
    server: Server,
    /// A node has no connection to itself.
    remotes: Vec<Connection>,
    timing: Timing,
}

impl Locks {
    pub(crate) fn new(
        local: &str,
        server: Server,
        remotes: Vec<Connection>,
        timing: Timing,
    ) -> Self {
        Self(Arc::new(Inner {
            local: local.to_owned(),
            server,
            remotes,
            timing,
        }))
    }

    pub(crate) fn timing(&self) -> Timing {
        self.0.timing
    }

    /// How many servers have to agree.
    pub(crate) fn quorum(&self, mode: Mode) -> usize {
        mode.quorum(self.servers())
    }

    pub(crate) fn servers(&self) -> usize {
        self.0.remotes.len() + 1
    }

    /// Locks `resource`, and tries again until that has taken as long as `patience`: no attempt begins
    /// later. The last one may take two rounds of answers more.
    ///
    /// # Errors
    ///
    /// What the servers said to the last attempt.
    ///
    /// # Cancel safety
    ///
    /// Safe: what servers have granted to an attempt that was dropped expires, as nobody refreshes it.
    pub(crate) async fn acquire(
        &self,
        mode: Mode,
        resource: &str,
        patience: Duration,
    ) -> Result<Held, AcquireError> {
        let Timing { lease, margin, .. } = self.0.timing;
        let give_up = Instant::now() + patience;
        let mut longest_pause = FIRST_PAUSE;
        loop {
            let ask = Ask {
                resource: resource.to_owned(),
                uid: rand::random(),
            };
            // The servers count from when they are asked, which is later.
            let valid_until = Instant::now() + lease - margin;
            let tally = self.ask_all(Op::Lock(mode), &ask).await;
            if tally.granted() >= self.quorum(mode) && Instant::now() < valid_until {
                return Ok(Held::new(self.clone(), mode, ask, valid_until));
            }
            // Whoever has granted it must not keep it from others for a lease. That goes to all: a
            // server whose answer was late or lost may have granted it too.
            self.ask_all(Op::Unlock(mode), &ask).await;

            let pause = longest_pause.mul_f64(rand::random());
            if Instant::now() + pause >= give_up {
                return Err(AcquireError::new(resource, self.quorum(mode), tally));
            }
            // tidy: sleep: nobody tells a caller that a lock is free, so it asks now and then
            sleep(pause).await;
            longest_pause = LAST_PAUSE.min(longest_pause * 2);
        }
    }

    /// Takes a resource away from whoever holds it. They find out by their next refresh, and
    /// until then there may be two who believe that it is theirs: for operators who know that the
    /// holder is gone.
    ///
    /// # Cancel safety
    ///
    /// Some servers may have done it.
    pub(crate) async fn force_unlock(&self, resource: &str) -> Tally {
        let ask = Ask {
            resource: resource.to_owned(),
            uid: 0,
        };
        self.ask_all(Op::ForceUnlock, &ask).await
    }

    /// Asks all servers at once, and waits until each has answered or had its time. One that can't be
    /// reached fails at once and costs no time; one that is reached and does not answer costs all of it.
    ///
    /// # Cancel safety
    ///
    /// Servers that were asked may do it all the same.
    pub(crate) async fn ask_all(&self, op: Op, ask: &Ask) -> Tally {
        let Inner { local, server, .. } = &*self.0;
        let own = server.serve(op, local, ask);
        let mut others = Vec::new();
        for peer in &self.0.remotes {
            let call = op.definition().call(peer, ask);
            let call = call.timeout(self.0.timing.answer);
            others.push(async move {
                let answer = call.await.map_err(|error| error.to_string());
                (peer.name().to_owned(), answer)
            });
        }
        let mut votes = vec![(local.clone(), Ok(own))];
        votes.extend(join_all(others).await);
        Tally(votes)
    }
}

/// What each server said, or why it said nothing.
#[derive(Debug)]
pub(crate) struct Tally(Vec<(String, Result<Verdict, String>)>);

impl Tally {
    pub(crate) fn granted(&self) -> usize {
        let yes = |answer: &&Result<Verdict, String>| matches!(answer, Ok(Verdict::Granted));
        self.0.iter().map(|(_, answer)| answer).filter(yes).count()
    }

    /// Servers that have said no.
    pub(crate) fn refused(&self) -> usize {
        self.answered() - self.granted()
    }

    fn answered(&self) -> usize {
        self.0.iter().filter(|(_, answer)| answer.is_ok()).count()
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {} servers agree", self.granted(), self.0.len())?;
        for (server, answer) in &self.0 {
            match answer {
                Ok(Verdict::Granted) => {}
                Ok(verdict) => write!(f, "; {server}: {verdict}")?,
                Err(why) => write!(f, "; {server}: {why}")?,
            }
        }
        Ok(())
    }
}

/// Why a lock could not be had in time.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AcquireError {
    /// Enough servers have answered, and too many of them with no: somebody else has it.
    #[error("{resource:?} can't be locked in time: {quorum} are needed, {tally}")]
    Refused {
        resource: String,
        quorum: usize,
        tally: Tally,
    },
    /// Whoever holds it or not, too few servers can be reached.
    #[error("{resource:?} can't be locked, too few servers answer: {quorum} are needed, {tally}")]
    TooFewServers {
        resource: String,
        quorum: usize,
        tally: Tally,
    },
}

impl AcquireError {
    fn new(resource: &str, quorum: usize, tally: Tally) -> Self {
        let resource = resource.to_owned();
        if tally.answered() >= quorum {
            Self::Refused {
                resource,
                quorum,
                tally,
            }
        } else {
            Self::TooFewServers {
                resource,
                quorum,
                tally,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(answers: [Option<Verdict>; 3]) -> Tally {
        let named = answers.into_iter().zip(["a", "b", "c"]);
        let vote = |(answer, name): (Option<Verdict>, &str)| {
            (name.to_owned(), answer.ok_or_else(|| "away".to_owned()))
        };
        Tally(named.map(vote).collect())
    }

    #[test]
    fn who_says_no_and_who_says_nothing_are_told_apart() {
        let held = Some(Verdict::HeldBy("x".to_owned()));
        let refused = tally([Some(Verdict::Granted), held, None]);
        assert_eq!((refused.granted(), refused.refused()), (1, 1));
        let error = AcquireError::new("r", 2, refused);
        assert!(matches!(error, AcquireError::Refused { .. }));
        assert_eq!(
            error.to_string(),
            "\"r\" can't be locked in time: 2 are needed, 1 of 3 servers agree; b: held by x; c: away"
        );
        let error = AcquireError::new("r", 2, tally([Some(Verdict::Granted), None, None]));
        assert!(matches!(error, AcquireError::TooFewServers { .. }));
    }
}
