//! What the tests of calls and streams share.

#![allow(dead_code, reason = "each test uses its own part")]

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use grid_transport::testing::Pair;
use grid_transport::{Connection, Payload};
use grid_typed::{HandlerId, Single, TypedError};
use serde::de::Error as _;
use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use tokio::sync::{mpsc, watch};

/// A time that no test comes near to, however busy the machine is.
pub(crate) const LONG: Duration = Duration::from_secs(50);

/// A text whose code fails as the text says: `encode panic`, `encode refuse`, `decode panic`,
/// `decode refuse`. All others are coded as they are.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Touchy(pub(crate) String);

impl From<&str> for Touchy {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl Serialize for Touchy {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0.as_str() {
            "encode panic" => panic!("boom"),
            "encode refuse" => Err(S::Error::custom("not today")),
            text => serializer.serialize_str(text),
        }
    }
}

impl<'de> Deserialize<'de> for Touchy {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        match text.as_str() {
            "decode panic" => panic!("boom"),
            "decode refuse" => Err(D::Error::custom("not today")),
            _ => Ok(Self(text)),
        }
    }
}

/// Ways for a [`Touchy`] to fail while it is encoded, and what the error says.
pub(crate) const ENCODE: [(&str, &str); 2] = [
    ("encode panic", "panic while encoding: boom"),
    ("encode refuse", "not today"),
];

/// Ways for a [`Touchy`] to fail while it is decoded, and what the error begins with.
pub(crate) const DECODE: [(&str, &str); 2] = [
    ("decode panic", "panic while decoding: boom"),
    ("decode refuse", "not today"),
];

/// A call that always works; it shows that a link is well.
pub(crate) static FENCE: Single<u64, u64> = Single::new(HandlerId::new(255));

/// The link works, was never lost, and nothing is open or running on it.
pub(crate) async fn well(pair: &Pair) {
    for peer in [pair.a_to_b(), pair.b_to_a()] {
        assert_eq!(FENCE.call(&peer, &7).timeout(LONG).await.unwrap(), 7);
    }
    for peer in [pair.a_to_b(), pair.b_to_a()] {
        let stats = peer.stats();
        assert_eq!(
            (stats.open_requests, stats.open_streams),
            (0, 0),
            "{stats:?}"
        );
        assert_eq!(
            (stats.serving_requests, stats.serving_streams),
            (0, 0),
            "{stats:?}"
        );
        assert_eq!(stats.reconnects, 0, "{stats:?}");
    }
}

/// The text of a remote handler's error.
#[track_caller]
pub(crate) fn remote(error: &TypedError) -> String {
    match error.as_call() {
        Some(grid_transport::CallError::Remote(text)) => text.to_string(),
        _ => panic!("{error:?} is no remote error"),
    }
}

/// Asks with bytes, past the typed layer.
pub(crate) async fn raw(
    peer: &Connection,
    id: HandlerId,
    payload: impl Into<Payload>,
) -> Result<Payload, grid_transport::CallError> {
    peer.request(id, payload).timeout(LONG).await
}

/// Ends a test that would hang.
pub(crate) async fn soon<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(LONG, future)
        .await
        .expect("it ends long before")
}

/// Tells the test where handlers have got to.
#[derive(Clone)]
pub(crate) struct Steps(mpsc::UnboundedSender<&'static str>);

pub(crate) fn steps() -> (Steps, mpsc::UnboundedReceiver<&'static str>) {
    let (sender, receiver) = mpsc::unbounded_channel();
    (Steps(sender), receiver)
}

impl Steps {
    pub(crate) fn at(&self, step: &'static str) {
        let _ = self.0.send(step);
    }

    /// Something that says so when it is dropped.
    pub(crate) fn on_drop(&self, step: &'static str) -> OnDrop {
        OnDrop(self.clone(), step)
    }
}

pub(crate) struct OnDrop(Steps, &'static str);

impl Drop for OnDrop {
    fn drop(&mut self) {
        self.0.at(self.1);
    }
}

/// A door that handlers wait at until the test opens it.
#[derive(Clone)]
pub(crate) struct Door(Arc<watch::Sender<bool>>);

impl Door {
    pub(crate) fn new() -> Self {
        Self(Arc::new(watch::Sender::new(false)))
    }

    pub(crate) fn open(&self) {
        self.0.send_replace(true);
    }

    pub(crate) async fn pass(&self) {
        let mut open = self.0.subscribe();
        open.wait_for(|open| *open)
            .await
            .expect("the door is there");
    }
}
