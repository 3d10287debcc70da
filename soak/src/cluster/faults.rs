//! Letting things go wrong, and putting them right again.

use std::time::Duration;

use nix::sys::signal::Signal;
use tokio::time::{Instant, sleep};

use super::Cluster;
use crate::{
    chaos::{Blow, Fault, Trouble},
    child::Child,
    proxy::{Cut, Route, Weather},
    words::{Broken, Order},
};

impl Cluster {
    /// Lets something go wrong, for a while; whether it could be done. What a network does is counted when it is
    /// [noticed](Self::notice).
    ///
    /// # Cancel safety
    ///
    /// Not safe: it would not be undone.
    pub async fn apply(&mut self, fault: Fault, lasts: Duration) -> bool {
        let ends = Instant::now() + lasts;
        match fault {
            Fault::Network(one, other, trouble) => {
                self.doubts.add(&self.routes, (one, other), trouble, ends);
                for pair in [(one, other), (other, one)] {
                    if let Some(route) = self.routes.get(&pair) {
                        strike(route, trouble);
                    }
                }
            }
            Fault::Node(node, blow) if !self.hit(node, blow).await => return false,
            Fault::Node(..) => self.count(fault),
        }
        self.undos.push((ends, fault));
        true
    }

    /// Counts what connections have felt of their networks since the last time.
    pub fn notice(&mut self) {
        for ((one, other), trouble) in self.doubts.settle(&self.routes, Instant::now()) {
            self.count(Fault::Network(one, other, trouble));
        }
    }

    fn count(&mut self, fault: Fault) {
        *self.faults.entry(fault.title()).or_default() += 1;
    }

    /// Whether it could be done: who has been killed can't be stopped.
    async fn hit(&mut self, node: usize, blow: Blow) -> bool {
        let state = &mut self.nodes[node];
        let Some(child) = state.child.as_mut() else {
            return false;
        };
        match blow {
            Blow::Kill => {
                state.may_end = true;
                state.generation += 1;
                // Dropping it kills it, also where it stands still.
                state.child = None;
                for ((_, to), route) in &self.routes {
                    if *to == node {
                        route.lead_to(None);
                    }
                }
                true
            }
            _ if child.stopped => false,
            Blow::Stop => child.signal(Signal::SIGSTOP).is_ok(),
            Blow::Skew(ms) => {
                state.skew_ms = ms;
                self.tell(node, Order::Skew(ms)).await;
                for ((from, to), route) in &self.routes {
                    if *from == node || *to == node {
                        route.cut(Cut::Rst);
                    }
                }
                true
            }
            Blow::Unplug(at_node) => self
                .namespaces
                .as_ref()
                .is_some_and(|namespaces| namespaces.cable(node, at_node, false).is_ok()),
        }
    }

    /// When the next fault has to be undone.
    #[must_use]
    pub fn next_undo(&self) -> Option<Instant> {
        self.undos.iter().map(|(due, _)| *due).min()
    }

    /// Undoes what is due.
    ///
    /// # Cancel safety
    ///
    /// Not safe: something may stay as it is.
    pub async fn undo_due(&mut self) {
        let now = Instant::now();
        let due: Vec<_> = self.undos.extract_if(.., |(due, _)| *due <= now).collect();
        for (_, fault) in due {
            self.undo(fault).await;
        }
    }

    async fn undo(&mut self, fault: Fault) {
        match fault {
            Fault::Network(one, other, trouble) => {
                for pair in [(one, other), (other, one)] {
                    if let Some(route) = self.routes.get(&pair) {
                        route.change(|weather| clear(weather, trouble));
                    }
                }
            }
            Fault::Node(node, Blow::Kill) => {
                // Another one may have been started meanwhile.
                if self.nodes[node].child.is_none() {
                    match self.start_node(node).await {
                        Ok(()) => self.tell(node, Order::Work).await,
                        Err(error) => {
                            let what = format!("node {node} can't be started: {error}");
                            self.broken(Broken::Process, what);
                        }
                    }
                }
            }
            Fault::Node(node, Blow::Stop) => {
                if let Some(child) = &mut self.nodes[node].child {
                    // It may have been killed, and started anew, meanwhile.
                    let _ = child.signal(Signal::SIGCONT);
                }
            }
            Fault::Node(node, Blow::Skew(_)) => {
                self.nodes[node].skew_ms = 0;
                let stopped = |child: &Child| child.stopped;
                if self.nodes[node].child.as_ref().is_some_and(stopped) {
                    // It reads it when it goes on, which is soon.
                    self.undos
                        .push((Instant::now() + Duration::from_millis(200), fault));
                } else {
                    self.tell(node, Order::Skew(0)).await;
                }
            }
            Fault::Node(node, Blow::Unplug(at_node)) => {
                let plugged = self
                    .namespaces
                    .as_ref()
                    .map_or(Ok(()), |namespaces| namespaces.cable(node, at_node, true));
                if let Err(error) = plugged {
                    self.broken(Broken::Process, error);
                }
            }
        }
    }

    /// Undoes everything: from now on nothing goes wrong any more.
    ///
    /// # Cancel safety
    ///
    /// Not safe: something may stay as it is.
    pub async fn repair(&mut self) {
        while !self.undos.is_empty() {
            for (_, fault) in std::mem::take(&mut self.undos) {
                self.undo(fault).await;
            }
            sleep(Duration::from_millis(50)).await;
        }
        for route in self.routes.values() {
            route.change(|weather| {
                *weather = Weather {
                    cut: weather.cut,
                    ..Weather::default()
                }
            });
        }
    }
}

fn strike(route: &Route, trouble: Trouble) {
    match trouble {
        Trouble::Cut(cut) => route.cut(cut),
        Trouble::Delay(delay) => route.change(|weather| weather.delay = delay),
        Trouble::Throttle(rate) => route.change(|weather| weather.rate = Some(rate)),
        Trouble::Stall(stalled) => route.change(|weather| weather.stalled = stalled),
        Trouble::Refuse => route.change(|weather| weather.refuses = true),
    }
}

fn clear(weather: &mut Weather, trouble: Trouble) {
    match trouble {
        Trouble::Cut(_) => {}
        Trouble::Delay(_) => weather.delay = Duration::ZERO,
        Trouble::Throttle(_) => weather.rate = None,
        Trouble::Stall(_) => weather.stalled = [false; 2],
        Trouble::Refuse => weather.refuses = false,
    }
}
