//! How a command reaches the grid: through a running node, or as a node of its own for a moment.

mod args;
mod join;
mod peer;
mod via;

use std::{
    io::{self, Write},
    path::PathBuf,
    time::{Duration, Instant},
};

pub(crate) use self::{
    args::ReachArgs,
    peer::{Conversation, FromPeer, Peer, ToPeer, Within},
    via::ControlLink,
};
use crate::{failure::Failure, place::Place, signal::Signals, token::ON_COMMAND_LINE};

/// A checked way into the grid.
#[derive(Clone, Debug)]
pub(crate) struct Reach {
    pub(crate) way: Way,
    /// How long a link may take to come up.
    pub(crate) within: Duration,
}

/// Which way.
#[derive(Clone, Debug)]
pub(crate) enum Way {
    /// Over the control socket of a running node.
    Via(PathBuf),
    /// As a node under a spare name.
    Join(Box<Place>),
}

/// A remote that has been reached.
#[derive(Debug)]
pub(crate) struct Reached {
    pub(crate) peer: Peer,
    hold: Hold,
}

/// What keeps the way open.
#[derive(Debug)]
enum Hold {
    Via(ControlLink),
    Join(join::Joined),
}

impl Reach {
    /// Reaches `to`, runs `work` with it, and leaves the grid politely, however the work ends. A
    /// signal ends the waiting for the link; during the work it is the work's to heed.
    pub(crate) async fn run<T>(
        &self,
        to: &str,
        subroute: Option<&str>,
        work: impl AsyncFnOnce(&Peer, &mut Signals) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let mut signals = Signals::catch()?;
        if let Way::Join(place) = &self.way
            && place.credentials.are_on_command_line()
        {
            // Nobody is left to tell where stderr is closed.
            let _ = writeln!(io::stderr(), "grid: warning: {ON_COMMAND_LINE}");
        }
        let reached = self.to(to, subroute, &mut signals).await?;
        let outcome = work(&reached.peer, &mut signals).await;
        reached.leave().await;
        outcome
    }

    /// Reaches a remote: waits for its link, no longer than the time given.
    async fn to(
        &self,
        to: &str,
        subroute: Option<&str>,
        signals: &mut Signals,
    ) -> Result<Reached, Failure> {
        match &self.way {
            Way::Via(path) => {
                let begin = Instant::now();
                let link = signals.cut(ControlLink::dial(path, self.within)).await?;
                let left = self.within.saturating_sub(begin.elapsed());
                if let Err(failure) = signals.cut(link.connect(to, left)).await {
                    link.leave().await;
                    return Err(failure);
                }
                Ok(Reached {
                    peer: Peer::via(&link, to, subroute),
                    hold: Hold::Via(link),
                })
            }
            Way::Join(place) => {
                let (joined, connection) = join::join(place, to, self.within, signals).await?;
                Ok(Reached {
                    peer: Peer::direct(connection, subroute),
                    hold: Hold::Join(joined),
                })
            }
        }
    }
}

impl Reached {
    /// Tells the other side that this one goes, and waits until that is sent.
    async fn leave(self) {
        drop(self.peer);
        match self.hold {
            Hold::Via(link) => link.leave().await,
            Hold::Join(joined) => joined.leave().await,
        }
    }
}
