//! Who sees whom. A node knows its own links only, so whoever shows the mesh asks the others for theirs, over the grid.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    convert::Infallible,
    sync::{Arc, OnceLock, Weak},
    time::Duration,
};

use bytes::Bytes;
use futures_util::future::join_all;
use grid_transport::{
    CallError, Connection, HandlerError, HandlerId, InstanceId, LinkState, Payload, Registration,
    SingleHandler,
};
use tokio::{
    sync::Mutex,
    time::{Instant, MissedTickBehavior, interval},
};

use super::{
    Facts,
    brief::brief,
    row::{BadRow, Row},
};

/// A node's links. The subroute is what makes sure that nobody else is meant: a node that runs another program, such as
/// one of MinIO, refuses it as unknown.
const ROW: HandlerId = HandlerId::new(79);
const ROUTE: &str = "grid/status/row/v1";

/// How long a node may take to tell its row.
const WITHIN: Duration = Duration::from_secs(1);

/// Rows are not asked for again before; several pages that are open cost no more than one.
const FRESH: Duration = Duration::from_millis(1_500);

/// Rows that nobody has looked at for as long are forgotten.
const KEPT: Duration = Duration::from_secs(30);

/// For how long one row is told to everybody, so that asking often costs next to nothing.
const TOLD: Duration = Duration::from_secs(1);

/// Questions that are answered at one time; others are refused.
const MOST_ASKERS: usize = 2;

/// What is kept of the words in which a peer refuses, in bytes.
const MOST_WORDS: usize = 256;

/// How many nodes the matrix has; others are only counted.
pub(super) const MOST_NODES: usize = 64;

/// What is known of the others' rows, by name: the row, or why there is none.
pub(super) type Rows = BTreeMap<String, Result<Row, String>>;

/// The handler that tells peers the row of a node. It is registered before the node is there.
#[derive(Clone, Debug, Default)]
pub(crate) struct RowSource(Arc<Source>);

#[derive(Debug, Default)]
struct Source {
    facts: OnceLock<Weak<Facts>>,
    told: parking_lot::Mutex<Option<(Instant, Bytes)>>,
}

impl RowSource {
    /// From now on it tells of this node, which it does not keep.
    pub(crate) fn tell_of(&self, facts: &Arc<Facts>) {
        // Whoever calls it again means the same node.
        let _ = self.0.facts.set(Arc::downgrade(facts));
    }

    pub(crate) fn handler(&self) -> Registration {
        let source = self.clone();
        SingleHandler::new(ROW, move |_| {
            let row = source.row();
            async move { row.map(Payload::from) }
        })
        .subroute(ROUTE)
        .limit(MOST_ASKERS)
        .into()
    }

    fn row(&self) -> Result<Bytes, HandlerError> {
        let facts = self.0.facts.get().and_then(Weak::upgrade);
        let facts = facts.ok_or_else(|| HandlerError::new("the node is not up"))?;
        let mut told = self.0.told.lock();
        match &*told {
            Some((when, row)) if when.elapsed() < TOLD => Ok(row.clone()),
            _ => {
                let row = Bytes::from(Row::of(&facts.manager().stats()).encode()?);
                *told = Some((Instant::now(), row.clone()));
                Ok(row)
            }
        }
    }
}

/// The rows of the others, asked for when somebody looks.
#[derive(Debug)]
pub(super) struct Mesh {
    facts: Arc<Facts>,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    asked: Option<Instant>,
    rows: Arc<Rows>,
    /// Runs of nodes that have no such handler, and will have none.
    others: HashMap<String, InstanceId>,
}

impl Mesh {
    pub(super) fn new(facts: Arc<Facts>) -> Self {
        Self {
            facts,
            known: Mutex::default(),
        }
    }

    /// The rows of the first nodes by name that this one has a link to. Takes no longer than the slowest of them may.
    ///
    /// # Cancel safety
    ///
    /// Safe: what was asked for is asked for again.
    pub(super) async fn rows(&self) -> Arc<Rows> {
        // Who comes while others are asking waits for the same rows.
        let mut known = self.known.lock().await;
        if known.asked.is_some_and(|asked| asked.elapsed() < FRESH) {
            return known.rows.clone();
        }
        let manager = self.facts.manager();
        let peers = manager.connections();
        let names: BTreeSet<&str> = peers.iter().map(Connection::name).collect();
        // Others are in no column.
        let names = names.into_iter().take(MOST_NODES);
        let names: BTreeSet<&str> = names.chain([manager.local()]).collect();
        let asked = peers.iter().take(MOST_NODES).map(|peer| {
            let other = known.others.get(peer.name());
            ask(peer, other.copied(), &names)
        });
        let answers = join_all(asked).await;
        let mut rows = Rows::new();
        let mut others = std::mem::take(&mut known.others);
        others.retain(|name, _| names.contains(&**name));
        for (peer, (instance, row)) in peers.iter().zip(answers) {
            let name = peer.name().to_owned();
            rows.insert(
                name.clone(),
                row.map_err(|why| {
                    if let (NoRow::Other, Some(instance)) = (&why, instance) {
                        others.insert(name, instance);
                    }
                    why.to_string()
                }),
            );
        }
        *known = Known {
            asked: Some(Instant::now()),
            rows: Arc::new(rows),
            others,
        };
        known.rows.clone()
    }

    /// Forgets rows that nobody looks at any more, for as long as it is polled.
    ///
    /// # Cancel safety
    ///
    /// Safe.
    pub(super) async fn forget(&self) -> Infallible {
        let mut pace = interval(KEPT);
        pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            pace.tick().await;
            let mut known = self.known.lock().await;
            if known.asked.is_some_and(|asked| asked.elapsed() >= KEPT) {
                known.rows = Arc::default();
            }
        }
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
    use std::future::pending;

    use grid_transport::{Builder, testing};
    use tokio::{task::JoinSet, time::timeout};

    use super::*;
    use crate::status::Events;

    /// Far longer than anything here takes.
    const PATIENCE: Duration = Duration::from_secs(20);

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
    async fn a_row_is_made_once_a_second_for_all() {
        let pair = testing::pair(|node| node).await.unwrap();
        let source = RowSource::default();
        assert!(source.row().is_err());
        let facts = Arc::new(Facts::new(pair.a.clone(), Events::of(testing::NAMES[0])));
        source.tell_of(&facts);
        let first = source.row().unwrap();
        assert_eq!(source.row().unwrap().as_ptr(), first.as_ptr());
        tokio::time::advance(TOLD).await;
        assert_ne!(source.row().unwrap().as_ptr(), first.as_ptr());
        pair.shutdown(Duration::ZERO).await;
    }

    #[tokio::test(start_paused = true)]
    async fn rows_serve_all_who_look_for_a_while_and_are_forgotten_when_nobody_does() {
        let pair = testing::pair(|node| node).await.unwrap();
        let mesh = Mesh::new(Arc::new(Facts::new(
            pair.a.clone(),
            Events::of(testing::NAMES[0]),
        )));
        let first = mesh.rows().await;
        assert_eq!(first.len(), 1);
        tokio::time::advance(FRESH / 2).await;
        assert!(Arc::ptr_eq(&mesh.rows().await, &first));
        tokio::time::advance(FRESH / 2).await;
        let second = mesh.rows().await;
        assert!(!Arc::ptr_eq(&second, &first));
        assert!(timeout(KEPT / 2, mesh.forget()).await.is_err());
        assert!(Arc::ptr_eq(&mesh.known.lock().await.rows, &second));
        assert!(timeout(2 * KEPT, mesh.forget()).await.is_err());
        assert!(mesh.known.lock().await.rows.is_empty());
        pair.shutdown(Duration::ZERO).await;
    }

    /// Not either when its link was lost in between: only another run of it may have an answer.
    #[tokio::test(start_paused = true)]
    async fn who_runs_another_program_is_asked_once() {
        let pair = testing::pair(|node| node).await.unwrap();
        let [a, b] = testing::NAMES;
        let mesh = Mesh::new(Arc::new(Facts::new(pair.a.clone(), Events::of(a))));
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
        pair.shutdown(Duration::ZERO).await;
    }

    /// So asking in crowds takes no more threads than these from the links.
    #[test]
    fn of_three_who_ask_at_once_one_is_refused() {
        let runtime = || {
            let mut builder = tokio::runtime::Builder::new_multi_thread();
            builder.worker_threads(4).enable_all().build().unwrap()
        };
        // Those who ask are not on the threads that are held up.
        let (own, others) = (runtime(), runtime());
        let names = ["http://a:1", "http://b:2", "http://c:3", "http://d:4"];
        let (net, source) = (testing::Net::new(), RowSource::default());
        let node = |name| testing::node_on(&net, name, &names, |node| node).unwrap();
        let asked = {
            let _inside = own.enter();
            let registered = |node: Builder| node.register(source.handler());
            testing::node_on(&net, names[0], &names, registered).unwrap()
        };
        let facts = Arc::new(Facts::new(asked.clone(), Events::of(names[0])));
        source.tell_of(&facts);
        let askers = {
            let _inside = others.enter();
            [node(names[1]), node(names[2]), node(names[3])]
        };
        let links = askers
            .each_ref()
            .map(|asker| asker.connection(names[0]).unwrap());
        others.block_on(join_all(links.iter().map(Connection::connected)));
        let mut answers = JoinSet::new();
        let held = source.0.told.lock();
        for link in &links {
            let link = link.subroute(ROUTE);
            let row = async move { link.request(ROW, Payload::Absent).await };
            answers.spawn_on(row, others.handle());
        }
        let first = others.block_on(async { timeout(PATIENCE, answers.join_next()).await });
        drop(held);
        let refused = first.expect("one is refused").unwrap().unwrap();
        assert!(matches!(refused, Err(CallError::Refused(_))), "{refused:?}");
        for answer in others.block_on(answers.join_all()) {
            answer.unwrap();
        }
        own.block_on(asked.shutdown(Duration::ZERO));
    }
}
