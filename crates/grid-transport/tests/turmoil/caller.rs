//! Calls without end, each checked: what comes back, and when.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use grid_transport::{CallError, Connection, Manager, Payload};
use tokio::time::Instant;

use crate::{
    node::{self, BOTH, ECHO, OUT, SLOW},
    rng::Rng,
};

/// What the contract allows on top of a deadline; the clock is virtual, and exact.
const GRACE: Duration = Duration::from_millis(100);

/// What all hosts of a history report to. It survives their crashes.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Inner>);

#[derive(Default)]
struct Inner {
    next_call: AtomicU64,
    outcomes: Mutex<BTreeMap<&'static str, u64>>,
    /// How often each host saw all its links up.
    ups: Mutex<BTreeMap<&'static str, u64>>,
    broken: Mutex<Vec<String>>,
}

impl Log {
    pub(crate) fn broken(&self, what: String) {
        self.0
            .broken
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(what);
    }

    pub(crate) fn count(&self, outcome: &'static str) {
        let mut outcomes = self
            .0
            .outcomes
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *outcomes.entry(outcome).or_default() += 1;
    }

    pub(crate) fn outcomes(&self) -> BTreeMap<&'static str, u64> {
        self.0
            .outcomes
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    pub(crate) fn up(&self, host: &'static str) {
        self.count("up");
        let mut ups = self.0.ups.lock().unwrap_or_else(PoisonError::into_inner);
        *ups.entry(host).or_default() += 1;
    }

    pub(crate) fn ups(&self) -> BTreeMap<&'static str, u64> {
        self.0
            .ups
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    pub(crate) fn take_broken(&self) -> Vec<String> {
        std::mem::take(&mut self.0.broken.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn next_call(&self) -> u64 {
        self.0.next_call.fetch_add(1, Ordering::Relaxed)
    }
}

/// Makes calls to all peers, one after the other.
pub(crate) async fn run(manager: Manager, log: Log, mut rng: Rng) {
    let peers = manager.connections();
    loop {
        let peer = &peers[rng.below(peers.len() as u64) as usize];
        let call = Call {
            id: log.next_call(),
            wants: rng.below(60),
            deadline: Instant::now() + Duration::from_millis(20 + rng.below(3_000)),
            peer,
            log: &log,
        };
        match rng.below(10) {
            0..4 => call.single(false).await,
            4..6 => call.single(true).await,
            6..8 => call.out().await,
            _ => call.both().await,
        }
        // tidy: sleep: callers that are not always busy
        tokio::time::sleep(Duration::from_millis(rng.below(50))).await;
    }
}

struct Call<'a> {
    id: u64,
    wants: u64,
    deadline: Instant,
    peer: &'a Connection,
    log: &'a Log,
}

impl Call<'_> {
    async fn single(&self, slow: bool) {
        let handler = if slow { SLOW } else { ECHO };
        let request = node::request(self.id, if slow { self.wants * 30 } else { 0 });
        let from = Instant::now();
        let outcome = self
            .peer
            .request(handler, request.clone())
            .deadline(self.deadline)
            .await;
        self.on_time(from);
        let host = self.peer.name().trim_start_matches("http://");
        let host = host.split(':').next().unwrap_or_default();
        match outcome {
            Ok(answer) if answer.as_slice() == node::answer_of(host, &request) => {
                self.log.count("answered");
            }
            Ok(answer) => self.broken(&format!("was answered by {answer:?}")),
            Err(error) => self.failed(&error),
        }
    }

    async fn out(&self) {
        let request = node::request(self.id, self.wants);
        let from = Instant::now();
        let opening = self
            .peer
            .stream(OUT.0, OUT.1, request)
            .deadline(self.deadline);
        let mut stream = match opening.await {
            Ok(stream) => stream,
            Err(error) => return self.failed(&error),
        };
        self.on_time(from);
        let mut place = 0;
        loop {
            let from = Instant::now();
            let next = stream.recv().await;
            self.on_time(from);
            if !self.goes_on(next, place) {
                return;
            }
            place += 1;
        }
    }

    async fn both(&self) {
        let request = node::request(self.id, self.wants);
        let opening = self
            .peer
            .stream(BOTH.0, BOTH.1, request)
            .deadline(self.deadline);
        let stream = match opening.await {
            Ok(stream) => stream,
            Err(error) => return self.failed(&error),
        };
        let (mut sender, mut receiver) = stream.split();
        let sending = async {
            for place in 0..self.wants {
                let from = Instant::now();
                let sent = sender.send(node::item(self.id, place)).await;
                self.on_time(from);
                if sent.is_err() {
                    // The other half learns why.
                    return;
                }
            }
            sender.finish();
        };
        let receiving = async {
            let mut place = 0;
            loop {
                let from = Instant::now();
                let next = receiver.recv().await;
                self.on_time(from);
                if !self.goes_on(next, place) {
                    return;
                }
                place += 1;
            }
        };
        tokio::join!(sending, receiving);
    }

    /// Checks what came at `place`; whether more has to come.
    fn goes_on(&self, next: Option<Result<Payload, CallError>>, place: u64) -> bool {
        match next {
            Some(Ok(item)) if item.as_slice() == node::item(self.id, place) => return true,
            Some(Ok(item)) => self.broken(&format!("got {item:?} at {place}")),
            Some(Err(error)) => self.failed(&error),
            None => self.ended(place),
        }
        false
    }

    fn ended(&self, got: u64) {
        if got == self.wants {
            self.log.count("streamed");
        } else {
            let wants = self.wants;
            self.broken(&format!("came to a clean end after {got} of {wants} items"));
        }
    }

    fn failed(&self, error: &CallError) {
        match error {
            CallError::NotConnected { .. } => self.log.count("not connected"),
            CallError::Disconnected { .. } => self.log.count("disconnected"),
            CallError::Deadline => self.log.count("deadline"),
            other => self.broken(&format!("failed by {other:?}")),
        }
    }

    /// A wait that began at `from` is over: did it go on past the deadline?
    fn on_time(&self, from: Instant) {
        let late = Instant::now().saturating_duration_since(self.deadline.max(from));
        if late > GRACE {
            self.broken(&format!("went on for {late:?} past its deadline"));
        }
    }

    fn broken(&self, what: &str) {
        self.log
            .broken(format!("call {} to {} {what}", self.id, self.peer.name()));
    }
}
