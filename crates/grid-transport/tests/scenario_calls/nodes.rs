//! Two nodes, and the network between them.

use std::time::Duration;

use grid_transport::{
    Builder, CallError, Connection, Manager, Payload, Stream,
    testing::{self, Pair},
};
use tokio::sync::mpsc;

use crate::{
    node::{connected, link},
    probe::{ECHO, LONG, probe, text},
    scale::in_full,
    watch::Watch,
};

/// Two connected nodes.
pub(crate) struct Nodes {
    pub(crate) a: Manager,
    pub(crate) b: Manager,
    memory: Option<Pair>,
}

impl Nodes {
    /// Over TCP. `configure` gets the builder of each.
    pub(crate) async fn tcp(configure: impl Fn(Builder) -> Builder) -> Self {
        Self::tcp_of(&configure, &configure).await
    }

    /// As [`tcp`](Self::tcp), with a configuration for each.
    pub(crate) async fn tcp_of(
        configure_a: impl Fn(Builder) -> Builder,
        configure_b: impl Fn(Builder) -> Builder,
    ) -> Self {
        let [a, b] = crate::node::pair(|index, builder| match index {
            0 => configure_a(builder),
            _ => configure_b(builder),
        })
        .await;
        connected(&link(&a, &b)).await;
        connected(&link(&b, &a)).await;
        Self { a, b, memory: None }
    }

    /// In memory, for a paused clock.
    pub(crate) async fn memory(configure: impl Fn(Builder) -> Builder) -> Self {
        Self::memory_of(&configure, &configure).await
    }

    /// As [`memory`](Self::memory), with a configuration for each.
    pub(crate) async fn memory_of(
        configure_a: impl Fn(Builder) -> Builder,
        configure_b: impl Fn(Builder) -> Builder,
    ) -> Self {
        let pair = testing::pair_of(configure_a, configure_b).await.unwrap();
        Self {
            a: pair.a.clone(),
            b: pair.b.clone(),
            memory: Some(pair),
        }
    }

    pub(crate) fn a_to_b(&self) -> Connection {
        link(&self.a, &self.b)
    }

    pub(crate) fn b_to_a(&self) -> Connection {
        link(&self.b, &self.a)
    }

    pub(crate) fn both(&self) -> [Connection; 2] {
        [self.a_to_b(), self.b_to_a()]
    }

    /// Begins to measure the time: exact in memory, where the clock is paused.
    pub(crate) fn watch(&self) -> Watch {
        match &self.memory {
            Some(_) => Watch::exact(),
            None => Watch::lenient(),
        }
    }

    /// So many calls from A to B succeed, one after the other.
    pub(crate) async fn calls_work(&self, calls: usize) {
        for call in 0..calls {
            let answer = self.a_to_b().request(ECHO, call.to_string()).timeout(LONG);
            assert_eq!(text(&answer.await.unwrap()), call.to_string());
        }
    }

    /// Waits until nothing is open, served, queued or running on either side, which has never lost
    /// the link.
    pub(crate) async fn settled(&self) {
        let mut busy = None;
        for _ in 0..20_000 {
            // What is under way goes before these.
            for peer in self.both() {
                let fence = peer.request(ECHO, "fence").timeout(LONG).await;
                assert!(
                    matches!(fence, Ok(_) | Err(CallError::UnknownHandler(_))),
                    "{fence:?}"
                );
            }
            busy = self.busy();
            if busy.is_none() {
                return;
            }
        }
        panic!("never settled: {busy:#?}");
    }

    fn busy(&self) -> Option<grid_transport::LinkStats> {
        self.both()
            .iter()
            .map(Connection::stats)
            .inspect(|stats| assert_eq!(stats.reconnects, 0, "the link was lost: {stats:?}"))
            .find(|stats| {
                (stats.open_requests, stats.open_streams) != (0, 0)
                    || (stats.serving_requests, stats.serving_streams) != (0, 0)
                    || (stats.running_handlers, stats.queued_bytes) != (0, 0)
            })
    }
}

/// Two nodes that have the probe handlers.
pub(crate) async fn tcp() -> Nodes {
    Nodes::tcp(probe).await
}

pub(crate) async fn memory() -> Nodes {
    Nodes::memory(probe).await
}

/// All items, and how it ended.
pub(crate) async fn drain(stream: &mut Stream) -> (Vec<Payload>, Option<CallError>) {
    let mut items = Vec::new();
    loop {
        match recv(stream).await {
            Some(Ok(item)) => items.push(item),
            Some(Err(error)) => {
                assert!(stream.recv().await.is_none(), "an error comes once");
                return (items, Some(error));
            }
            None => {
                assert!(stream.recv().await.is_none(), "the end stays");
                return (items, None);
            }
        }
    }
}

/// The next item or the end, unless that takes for ever.
pub(crate) async fn recv(stream: &mut Stream) -> Option<Result<Payload, CallError>> {
    soon(stream.recv()).await
}

/// Ends a test that would hang. Far longer than anything here takes.
pub(crate) async fn soon<F: Future>(future: F) -> F::Output {
    let patience = if in_full() { 1_000 } else { 100 };
    tokio::time::timeout(Duration::from_secs(patience), future)
        .await
        .expect("it ends long before")
}

/// The items that the probe handlers send on [`crate::probe::FAIL_AFTER`].
pub(crate) fn messages(count: usize) -> Vec<Payload> {
    (0..count)
        .map(|item| Payload::from(format!("msg{item}")))
        .collect()
}

/// Tells the test how far handlers have come.
#[derive(Clone)]
pub(crate) struct Steps(mpsc::UnboundedSender<&'static str>);

pub(crate) struct Reached(mpsc::UnboundedReceiver<&'static str>);

pub(crate) fn steps() -> (Steps, Reached) {
    let (sender, receiver) = mpsc::unbounded_channel();
    (Steps(sender), Reached(receiver))
}

impl Steps {
    pub(crate) fn at(&self, step: &'static str) {
        // Nobody listens at the end of a test.
        let _ = self.0.send(step);
    }

    /// Says `step` when it is dropped.
    pub(crate) fn on_drop(&self, step: &'static str) -> OnDrop {
        OnDrop(self.clone(), step)
    }
}

impl Reached {
    pub(crate) async fn expect(&mut self, step: &'static str) {
        assert_eq!(soon(self.0.recv()).await, Some(step));
    }
}

pub(crate) struct OnDrop(Steps, &'static str);

impl Drop for OnDrop {
    fn drop(&mut self) {
        self.0.at(self.1);
    }
}
