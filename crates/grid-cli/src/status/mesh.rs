//! Who sees whom. A node knows its own links only, so whoever shows the mesh asks the others for theirs, over the grid.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    convert::Infallible,
    sync::Arc,
    time::Duration,
};

use futures_util::future::join_all;
use grid_transport::{CallError, Connection, InstanceId, LinkState, Payload};
use tokio::{
    sync::{Notify, watch},
    time::{Instant, timeout},
};

use super::{
    Facts,
    brief::brief,
    row::{BadRow, Row},
    told::{ROUTE, ROW},
};

/// How long a node may take to tell its row.
const WITHIN: Duration = Duration::from_secs(1);

/// Rows are not asked for again before; several pages that are open cost no more than one.
const FRESH: Duration = Duration::from_millis(1_500);

/// Rows that nobody has looked at for as long are forgotten.
const KEPT: Duration = Duration::from_secs(30);

/// What is kept of the words in which a peer refuses, in bytes.
const MOST_WORDS: usize = 256;

/// How many nodes the matrix has; others are only counted.
pub(super) const MOST_NODES: usize = 64;

/// What is known of the others' rows, by name: the row, or why there is none.
pub(super) type Rows = BTreeMap<String, Result<Row, String>>;

/// The rows of the others, asked for when somebody looks.
#[derive(Debug)]
pub(super) struct Mesh {
    facts: Arc<Facts>,
    /// Somebody waits for rows.
    wanted: Notify,
    known: watch::Sender<Known>,
}

#[derive(Debug, Default)]
struct Known {
    asked: Option<Instant>,
    rows: Arc<Rows>,
}

impl Known {
    /// Whether they are what somebody is told who came at this time.
    fn is_for(&self, came: Instant) -> bool {
        self.asked.is_some_and(|asked| asked + FRESH > came)
    }
}

/// Runs of nodes that have no such handler, and will have none.
type Others = HashMap<String, InstanceId>;

impl Mesh {
    pub(super) fn new(facts: Arc<Facts>) -> Self {
        Self {
            facts,
            wanted: Notify::new(),
            known: watch::Sender::default(),
        }
    }

    /// The rows of the first nodes by name that this one has a link to. Takes no longer than the slowest of them may, as
    /// long as [`keep`](Self::keep) is polled.
    ///
    /// # Cancel safety
    ///
    /// Safe: others who wait are told, and who comes again is told the same.
    pub(super) async fn rows(&self) -> Arc<Rows> {
        let came = Instant::now();
        let mut known = self.known.subscribe();
        if !known.borrow().is_for(came) {
            self.wanted.notify_one();
        }
        match known.wait_for(|known| known.is_for(came)).await {
            Ok(known) => known.rows.clone(),
            // It fails only where the sender has gone, which is here.
            Err(_) => Arc::default(),
        }
    }

    /// Asks when somebody wants to know, and forgets what nobody looks at any more, for as long as it is polled. Clients
    /// don't ask themselves: if one that goes took its questions along, the next would ask all of them once more.
    ///
    /// # Cancel safety
    ///
    /// Who waits is told once it is polled again.
    pub(super) async fn keep(&self) -> Infallible {
        let mut others = Others::new();
        loop {
            if timeout(KEPT, self.wanted.notified()).await.is_err() {
                self.known.send_replace(Known::default());
                continue;
            }
            // Who came while the last ones were asked has been told already.
            if !self.known.borrow().is_for(Instant::now()) {
                let rows = Arc::new(self.ask_all(&mut others).await);
                let asked = Some(Instant::now());
                self.known.send_replace(Known { asked, rows });
            }
        }
    }

    async fn ask_all(&self, others: &mut Others) -> Rows {
        let manager = self.facts.manager();
        let peers = manager.connections();
        let names: BTreeSet<&str> = peers.iter().map(Connection::name).collect();
        // Others are in no column.
        let names = names.into_iter().take(MOST_NODES);
        let names: BTreeSet<&str> = names.chain([manager.local()]).collect();
        let asked = peers.iter().take(MOST_NODES).map(|peer| {
            let other = others.get(peer.name());
            ask(peer, other.copied(), &names)
        });
        let answers = join_all(asked).await;
        others.retain(|name, _| names.contains(&**name));
        let rows = peers.iter().zip(answers).map(|(peer, (instance, row))| {
            let name = peer.name().to_owned();
            let row = row.map_err(|why| {
                if let (NoRow::Other, Some(instance)) = (&why, instance) {
                    others.insert(name.clone(), instance);
                }
                why.to_string()
            });
            (name, row)
        });
        rows.collect()
    }
}

/// Why there is no row.
#[derive(Debug, thiserror::Error)]
enum NoRow {
    #[error("no link to it")]
    Down,
    #[error("it runs another program, or an older one")]
    Other,
    #[error(transparent)]
    Bad(#[from] BadRow),
    /// The beginning of what may be the peer's own words.
    #[error("{0}")]
    Failed(String),
}

/// Asks one peer, unless its run is that of `other`, which is known to have no answer.
async fn ask(
    peer: &Connection,
    other: Option<InstanceId>,
    names: &BTreeSet<&str>,
) -> (Option<InstanceId>, Result<Row, NoRow>) {
    let LinkState::Connected { peer: instance, .. } = peer.state() else {
        return (None, Err(NoRow::Down));
    };
    if other == Some(instance) {
        return (Some(instance), Err(NoRow::Other));
    }
    let peer = peer.subroute(ROUTE);
    let call = peer.request(ROW, Payload::Absent).timeout(WITHIN);
    let row = match call.await {
        Ok(answer) => Row::decode(&answer, names).map_err(NoRow::from),
        Err(CallError::UnknownHandler(_)) => Err(NoRow::Other),
        Err(error) => Err(NoRow::Failed(brief(error, MOST_WORDS))),
    };
    (Some(instance), row)
}

#[cfg(test)]
mod tests {
    use std::{
        future::pending,
        sync::atomic::{AtomicUsize, Ordering},
    };

    use futures_util::FutureExt;
    use grid_transport::{HandlerError, SingleHandler, testing};

    use super::*;
    use crate::status::Events;

    /// Why there is no row of a peer whose handler answers so.
    async fn refusal(answer: Result<Payload, HandlerError>) -> String {
        let answer = Arc::new(parking_lot::Mutex::new(Some(answer)));
        let pair = testing::pair(|node| {
            let answer = answer.clone();
            let handler = SingleHandler::new(ROW, move |_| {
                let answer = answer.lock().take();
                async move {
                    match answer {
                        Some(answer) => answer,
                        None => pending().await,
                    }
                }
            });
            node.register(handler.subroute(ROUTE))
        });
        let pair = pair.await.unwrap();
        let (_, row) = ask(&pair.a_to_b(), None, &BTreeSet::new()).await;
        let why = row.unwrap_err().to_string();
        if why.contains("answer") {
            // The second question has none.
            let (_, late) = ask(&pair.a_to_b(), None, &BTreeSet::new()).await;
            assert_eq!(late.unwrap_err().to_string(), "deadline exceeded");
        }
        pair.shutdown(Duration::ZERO).await;
        why
    }

    #[tokio::test(start_paused = true)]
    async fn what_a_peer_answers_instead_of_a_row_is_told_briefly() {
        let why = refusal(Err(HandlerError::new("x".repeat(100_000)))).await;
        assert!(why.starts_with("xxx") && why.len() <= 256, "{}", why.len());
        let why = refusal(Ok(Payload::from(vec![0; 1 << 20]))).await;
        assert_eq!(
            why,
            "its answer has 1048576 bytes, of which 524288 are read"
        );
        let why = refusal(Ok(Payload::from("no row"))).await;
        assert_eq!(why, "its answer can't be read");
    }

    #[tokio::test(start_paused = true)]
    async fn all_who_look_cost_one_question_and_who_goes_takes_none_along() {
        let asked = Arc::new(AtomicUsize::new(0));
        let counted = asked.clone();
        let answers = Arc::new(tokio::sync::Semaphore::new(0));
        let gate = answers.clone();
        let pair = testing::pair(move |node| {
            let (counted, gate) = (counted.clone(), gate.clone());
            let handler = SingleHandler::new(ROW, move |_| {
                counted.fetch_add(1, Ordering::Relaxed);
                let gate = gate.clone();
                async move {
                    gate.acquire().await?.forget();
                    Ok(Payload::from(Row::default().encode()?))
                }
            });
            node.register(handler.subroute(ROUTE))
        });
        let pair = pair.await.unwrap();
        let facts = Arc::new(Facts::new(pair.a.clone(), Events::of(testing::NAMES[0])));
        let mesh = Arc::new(Mesh::new(facts));
        let keeper = mesh.clone();
        let keeper = tokio::spawn(async move { keeper.keep().await });
        let look = || {
            let mesh = mesh.clone();
            tokio::spawn(async move { mesh.rows().await })
        };
        let count = || asked.load(Ordering::Relaxed);

        // The peer has been asked, and the one who wanted to know goes.
        let gone = look();
        while count() == 0 {
            tokio::task::yield_now().await;
        }
        gone.abort();
        assert!(gone.await.is_err());
        let many: Vec<_> = (0..8).map(|_| look()).collect();
        answers.add_permits(1);
        for rows in join_all(many).await {
            assert!(rows.unwrap()[testing::NAMES[1]].is_ok());
        }
        assert_eq!(count(), 1);
        // They are told for a while, without a question; then there is another one.
        assert_eq!(mesh.rows().now_or_never().map(|rows| rows.len()), Some(1));
        tokio::time::advance(FRESH).await;
        answers.add_permits(1);
        assert_eq!(mesh.rows().await.len(), 1);
        assert_eq!(count(), 2);
        // What nobody looks at is forgotten, and nobody asks by himself.
        tokio::time::advance(KEPT).await;
        while !mesh.known.borrow().rows.is_empty() {
            tokio::task::yield_now().await;
        }
        tokio::time::advance(10 * KEPT).await;
        assert_eq!(count(), 2);
        keeper.abort();
        pair.shutdown(Duration::ZERO).await;
    }

    /// Not either when its link was lost in between: only another run of it may have an answer.
    #[tokio::test(start_paused = true)]
    async fn who_runs_another_program_is_asked_once() {
        let pair = testing::pair(|node| node).await.unwrap();
        let [a, b] = testing::NAMES;
        let mesh = Arc::new(Mesh::new(Arc::new(Facts::new(
            pair.a.clone(),
            Events::of(a),
        ))));
        let keeper = mesh.clone();
        let keeper = tokio::spawn(async move { keeper.keep().await });
        let refused = || pair.b.stats().iter().map(|link| link.refused).sum::<u64>();
        mesh.rows().await;
        assert_eq!(refused(), 1);
        pair.net.refuse(a, b, true);
        pair.cut();
        let mut states = pair.a_to_b().watch();
        let lost = states.wait_for(|state| !matches!(state, LinkState::Connected { .. }));
        drop(lost.await.unwrap());
        tokio::time::advance(FRESH).await;
        let rows = mesh.rows().await;
        assert_eq!(rows[b].as_ref().unwrap_err(), "no link to it");
        pair.net.refuse(a, b, false);
        pair.connected().await.unwrap();
        tokio::time::advance(FRESH).await;
        let rows = mesh.rows().await;
        let why = rows[b].as_ref().unwrap_err();
        assert!(why.contains("another program"), "{why}");
        assert_eq!(refused(), 1);
        keeper.abort();
        pair.shutdown(Duration::ZERO).await;
    }
}
