//! A source of which a test says what it says.

use std::{
    future::pending,
    sync::{Arc, Mutex},
    time::Duration,
};

use futures_util::future::BoxFuture;
use grid_transport::peers::{PeerList, PeerSource, SourceError};
use tokio::sync::watch;

#[derive(Clone, Copy)]
pub(crate) enum Says {
    List(&'static [&'static str]),
    Fault(&'static str),
    Nothing,
    Panic,
}

/// How often it is asked, and how long it is waited for.
pub(crate) const INTERVAL: Duration = Duration::from_secs(1);

#[derive(Clone)]
pub(crate) struct Held {
    says: Arc<Mutex<Says>>,
    asked: watch::Sender<u64>,
}

impl Held {
    pub(crate) fn new(says: Says) -> Self {
        Self {
            says: Arc::new(Mutex::new(says)),
            asked: watch::Sender::new(0),
        }
    }

    pub(crate) fn says(&self, says: Says) {
        *self.says.lock().unwrap() = says;
    }

    /// Waits until it was asked so many times more, and what it said all but the last time has been dealt with.
    pub(crate) async fn asked(&self, times: u64) {
        let mut asked = self.asked.subscribe();
        let last = *asked.borrow() + times;
        asked.wait_for(|asked| *asked >= last).await.unwrap();
    }

    pub(crate) fn times(&self) -> u64 {
        *self.asked.borrow()
    }
}

impl PeerSource for Held {
    fn label(&self) -> String {
        "the test's list".to_owned()
    }

    fn interval(&self) -> Duration {
        INTERVAL
    }

    fn timeout(&self) -> Duration {
        INTERVAL
    }

    fn ask(&mut self) -> BoxFuture<'_, Result<PeerList, SourceError>> {
        self.asked.send_modify(|asked| *asked += 1);
        let says = *self.says.lock().unwrap();
        Box::pin(async move {
            match says {
                Says::List(names) => {
                    let names = names.iter().map(|name| (*name).to_owned()).collect();
                    Ok(PeerList::new(names, INTERVAL))
                }
                Says::Fault(text) => Err(SourceError::other(text)),
                Says::Nothing => pending().await,
                Says::Panic => panic!("the source is broken"),
            }
        })
    }
}
