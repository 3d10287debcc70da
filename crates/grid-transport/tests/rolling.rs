//! Half of a grid is restarted, a node after the other, while all nodes call each other.

#[path = "common/places.rs"]
mod places;

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use grid_transport::{
    CallError, HandlerId, LinkCause, Manager, NoAuth, Request, Serving, Settings,
};
use parking_lot::Mutex;
use places::{Places, name};
use tokio::{net::TcpListener, sync::watch, task::JoinSet};

const ECHO: HandlerId = HandlerId::new(200);
const NODES: usize = 6;
/// Calls of each node that must succeed between two restarts.
const CALLS: u64 = 200;
/// Far longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(120);

/// What the callers have seen.
#[derive(Default)]
struct Seen {
    answers: AtomicU64,
    /// Errors that say why, and that somebody is gone.
    explained: Mutex<BTreeMap<&'static str, u64>>,
    unexplained: Mutex<Vec<String>>,
}

impl Seen {
    fn failed(&self, error: &CallError) {
        let explained = match error {
            // It was not executed, and its caller may go elsewhere.
            CallError::NotConnected { .. } => Some("not connected"),
            CallError::Refused(_) => Some("refused"),
            // On its way when the remote had drained and said goodbye.
            CallError::Disconnected { cause }
                if matches!(
                    **cause,
                    LinkCause::ClosedByPeer {
                        code: Some(1001),
                        ..
                    }
                ) =>
            {
                Some("disconnected")
            }
            _ => None,
        };
        match explained {
            Some(why) => *self.explained.lock().entry(why).or_default() += 1,
            None => self.unexplained.lock().push(format!("{error:?}")),
        }
    }
}

/// A node, and those who call from it.
struct Node {
    manager: Manager,
    serving: Serving,
    stop: Arc<AtomicBool>,
    callers: JoinSet<()>,
    /// Calls that were answered.
    answered: watch::Receiver<u64>,
}

impl Node {
    async fn start(node: usize, places: &Places, seen: &Arc<Seen>) -> Self {
        let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
        places.set(name(node), socket.local_addr().unwrap());
        let settings = Settings::new()
            .redial_interval(Duration::from_millis(5))
            .redial_at_once_after(Duration::ZERO);
        let manager = Manager::builder(name(node))
            .peers((0..NODES).map(name))
            .auth(NoAuth)
            .settings(settings)
            .dialer(places.clone())
            .single(ECHO, |request: Request| async move {
                // Some of them are under way when their node is told to end.
                tokio::task::yield_now().await;
                Ok(request.into_payload())
            })
            .build()
            .unwrap();
        let serving = manager.serve(socket).unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let (count, answered) = watch::channel(0);
        let count = Arc::new(count);
        let mut callers = JoinSet::new();
        for other in (0..NODES).filter(|other| *other != node) {
            let peer = manager.connection(&name(other)).unwrap();
            let (stop, seen, count) = (stop.clone(), seen.clone(), count.clone());
            callers.spawn(async move {
                let mut number = 0_u64;
                while !stop.load(Relaxed) {
                    number += 1;
                    let asked = format!("{node} asks {other}: {number}");
                    match peer.request(ECHO, asked.clone()).await {
                        Ok(answer) if answer.as_slice() == asked.as_bytes() => {
                            seen.answers.fetch_add(1, Relaxed);
                            count.send_modify(|count| *count += 1);
                        }
                        Ok(_) => seen
                            .unexplained
                            .lock()
                            .push(format!("another answer to {asked}")),
                        Err(error) => {
                            seen.failed(&error);
                            // Until it is back; a link that is up lets the next call through at once.
                            let _ = peer.connected().await;
                        }
                    }
                    tokio::task::yield_now().await;
                }
            });
        }
        Self {
            manager,
            serving,
            stop,
            callers,
            answered,
        }
    }

    /// Its callers end first, as what they are told then is of their own node.
    async fn end(mut self) -> u64 {
        self.stop.store(true, Relaxed);
        self.callers.shutdown().await;
        let drained = self.manager.shutdown(PATIENCE).await;
        assert!(drained.complete, "{drained:?}");
        self.serving.stop().await;
        drop(self.manager);
        *self.answered.borrow()
    }

    /// Waits until so many more of its calls were answered.
    async fn goes_on(&mut self) {
        let now = *self.answered.borrow_and_update();
        let more = self.answered.wait_for(|answered| *answered >= now + CALLS);
        tokio::time::timeout(PATIENCE, more)
            .await
            .expect("its calls are answered")
            .unwrap();
    }
}

async fn roll() -> Arc<Seen> {
    let (places, seen) = (Places::default(), Arc::new(Seen::default()));
    let mut nodes = Vec::new();
    for node in 0..NODES {
        nodes.push(Some(Node::start(node, &places, &seen).await));
    }
    for node in nodes.iter_mut().flatten() {
        node.goes_on().await;
    }
    for restarted in (0..NODES).step_by(2) {
        nodes[restarted].take().unwrap().end().await;
        places.forget(&name(restarted));
        for node in nodes.iter_mut().flatten() {
            node.goes_on().await;
        }
        nodes[restarted] = Some(Node::start(restarted, &places, &seen).await);
        for node in nodes.iter_mut().flatten() {
            node.goes_on().await;
        }
    }
    for node in nodes.into_iter().flatten() {
        node.end().await;
    }
    seen
}

#[tokio::test]
async fn a_rolling_half_of_six_nodes_leaves_no_unexplained_error() {
    let seen = roll().await;
    let unexplained = seen.unexplained.lock();
    assert!(
        unexplained.is_empty(),
        "{} of them, as {:?}",
        unexplained.len(),
        unexplained.first()
    );
    // They did meet nodes that were gone.
    let explained: u64 = seen.explained.lock().values().sum();
    assert!(explained > 0);
    assert!(seen.answers.load(Relaxed) >= 7 * CALLS * (NODES as u64 - 1));
}
