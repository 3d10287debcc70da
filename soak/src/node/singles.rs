//! Single requests of all kinds.

use std::time::{Duration, Instant};

use bytes::Bytes;
use grid_transport::{CallError, HandlerId, Payload};
use tokio::time::timeout;

use super::{
    caller::{Call, Caller, DEFAULT_DEADLINE, Went},
    handlers as serve,
};
use crate::{
    pattern::{self, Head},
    words::Broken,
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    Echo,
    Routed,
    Fails,
    Slow,
    SlowAbort,
    Panics,
    Empty,
    Blocking,
    Nobody,
    Dropped,
}

const WHAT: [(u64, What); 10] = [
    (50, What::Echo),
    (15, What::Routed),
    (8, What::Fails),
    (8, What::Slow),
    (4, What::SlowAbort),
    (1, What::Panics),
    (4, What::Empty),
    (2, What::Blocking),
    (3, What::Nobody),
    (5, What::Dropped),
];

/// Payload sizes, but for their head.
const SIZES: [(u64, u32); 6] = [
    (30, 0),
    (40, 500),
    (20, 4_000),
    (7, 30_000),
    (2, 200_000),
    (1, 1 << 20),
];

type Outcome = Result<Payload, CallError>;

impl Caller {
    pub(super) async fn single(&mut self, call: &mut Call) -> Went {
        let what = self.rng.weighted(&WHAT).unwrap_or(What::Echo);
        let len = self.rng.weighted(&SIZES).unwrap_or(0);
        let order = match what {
            What::Slow | What::SlowAbort | What::Dropped => self.rng.range(0..400) as u32,
            _ => 0,
        };
        let head = Head {
            number: call.number,
            order,
            len,
        };
        match what {
            What::Echo => self.echo(call, "echo", serve::ECHO, head).await,
            What::Blocking => self.echo(call, "blocking", serve::BLOCKING, head).await,
            What::Slow => self.echo(call, "slow", serve::SLOW, head).await,
            What::SlowAbort => {
                self.echo(call, "slow, aborted", serve::SLOW_ABORT, head)
                    .await
            }
            What::Routed => {
                let route = serve::ROUTES[(call.number % 2) as usize];
                for part in route.split('/') {
                    call.peer = call.peer.subroute(part);
                }
                self.echo(call, "subroute", serve::ECHO, head).await
            }
            What::Fails => {
                let outcome = self.ask(call, "failing", serve::FAIL, head).await;
                let text = pattern::word(head.number, "failed");
                self.remote(call, outcome, |got| got == text)
            }
            What::Panics => {
                let outcome = self.ask(call, "panicking", serve::PANIC, head).await;
                self.remote(call, outcome, |got| got.contains("panic"))
            }
            What::Empty => {
                call.begin("empty", &self.tally);
                let outcome = self
                    .make(call, serve::EMPTY, Payload::from(Bytes::new()))
                    .await;
                match outcome {
                    Ok(answer) if answer.is_empty() => Went::Well,
                    Ok(_) => self.wrong(call, "was answered by what is not empty"),
                    Err(error) => Went::Failed(error),
                }
            }
            What::Nobody => {
                if self.rng.percent(50) {
                    call.peer = call.peer.subroute(serve::ROUTES[0]);
                }
                match self.ask(call, "unknown handler", serve::NOBODY, head).await {
                    Err(CallError::UnknownHandler(_)) => Went::Well,
                    Err(error) => Went::Failed(error),
                    Ok(_) => self.wrong(call, "was answered though nobody serves it"),
                }
            }
            What::Dropped => {
                let patience = self.rng.millis(0..300);
                let making = self.echo(call, "dropped", serve::SLOW, head);
                match timeout(patience, making).await {
                    Ok(went) => went,
                    Err(_) => Went::GivenUp,
                }
            }
        }
    }

    async fn echo(&self, call: &mut Call, kind: &'static str, to: HandlerId, head: Head) -> Went {
        let answer = match self.ask(call, kind, to, head).await {
            Ok(answer) => answer,
            Err(error) => return Went::Failed(error),
        };
        let number = serve::echoed(head.number, call.peer.route());
        if pattern::make(Head { number, ..head }) != answer.as_slice() {
            return self.wrong(call, "got the wrong answer");
        }
        self.tally.checked(answer.len());
        Went::Well
    }

    async fn ask(&self, call: &mut Call, kind: &'static str, to: HandlerId, head: Head) -> Outcome {
        let payload = pattern::make(head).into();
        call.begin(kind, &self.tally);
        self.make(call, to, payload).await
    }

    async fn make(&self, call: &mut Call, to: HandlerId, payload: Payload) -> Outcome {
        let mut request = call.peer.request(to, payload);
        match call.deadline() {
            Some(deadline) => request = request.deadline(deadline.into()),
            None => call.timeout = Some(DEFAULT_DEADLINE + Duration::from_millis(1)),
        }
        if call.wait_ready {
            request = request.wait_ready();
        }
        let from = Instant::now();
        let outcome = request.await;
        self.tally.on_time(call.kind, from, call.deadline()).await;
        outcome
    }

    /// The handler must have failed, with this text.
    pub(super) fn remote(
        &self,
        call: &Call,
        outcome: Outcome,
        right: impl Fn(&str) -> bool,
    ) -> Went {
        match outcome {
            Err(CallError::Remote(text)) if right(&text.to_string()) => Went::Well,
            Err(CallError::Remote(text)) => {
                self.wrong(call, &format!("failed with another's text: {text}"))
            }
            Err(error) => Went::Failed(error),
            Ok(_) => self.wrong(call, "was answered though its handler fails"),
        }
    }

    pub(super) fn wrong(&self, call: &Call, what: &str) -> Went {
        self.told(Broken::WrongAnswer, call, what)
    }

    pub(super) fn told(&self, broken: Broken, call: &Call, what: &str) -> Went {
        let (kind, peer) = (call.kind, call.peer.name());
        self.tally.wrong(broken, format!("{kind} to {peer} {what}"));
        Went::Wrong
    }
}
