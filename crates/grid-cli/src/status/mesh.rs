//! Who sees whom. A node knows its own links only, so whoever shows the mesh asks the others for theirs, over the grid.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, OnceLock, Weak},
    time::Duration,
};

use futures_util::future::join_all;
use grid_transport::{
    CallError, Connection, HandlerError, HandlerId, InstanceId, LinkState, Registration,
};
use grid_typed::{Json, NoPayload, Single, TypedError};
use serde::{Deserialize, Serialize};
use tokio::{sync::Mutex, time::Instant};

use super::{Facts, document::state_word};

/// A node's links. The subroute is what makes sure that nobody else is meant: a node that runs another program, such as
/// one of MinIO, refuses it as unknown.
static ROW: Single<NoPayload, Json<Row>> = Single::new(HandlerId::new(79));
const ROUTE: &str = "grid/status/row/v1";

/// How long a node may take to tell its row.
const WITHIN: Duration = Duration::from_secs(1);

/// Rows are not asked for again before; several pages that are open cost no more than one.
const FRESH: Duration = Duration::from_millis(1_500);

/// How many nodes the matrix has; others are only counted.
pub(super) const MOST_NODES: usize = 64;

/// What is read of one row, so that no peer has us hold more.
const MOST_LINKS: usize = 4_096;

/// How a node sees the others.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Row {
    pub(super) links: Vec<Sight>,
}

/// How a node sees another one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Sight {
    pub(super) remote: String,
    pub(super) state: String,
    pub(super) round_trip_s: Option<f64>,
}

/// What is known of the others' rows, by name: the row, or why there is none.
pub(super) type Rows = BTreeMap<String, Result<Row, String>>;

impl Row {
    /// The row of this node.
    pub(super) fn of(facts: &Facts) -> Self {
        let links = facts.manager().stats();
        let links = links.iter().take(MOST_LINKS).map(|link| Sight {
            remote: link.remote.to_string(),
            state: state_word(&link.state).to_owned(),
            round_trip_s: link.round_trip.map(|time| time.as_secs_f64()),
        });
        Self {
            links: links.collect(),
        }
    }
}

/// The handler that tells peers the row of a node. It is registered before the node is there.
#[derive(Clone, Debug, Default)]
pub(crate) struct RowSource(Arc<OnceLock<Weak<Facts>>>);

impl RowSource {
    /// From now on it tells of this node, which it does not keep.
    pub(crate) fn tell_of(&self, facts: &Arc<Facts>) {
        // Whoever calls it again means the same node.
        let _ = self.0.set(Arc::downgrade(facts));
    }

    pub(crate) fn handler(&self) -> Registration {
        let source = self.clone();
        ROW.handler(move |_, _| {
            let facts = source.0.get().and_then(Weak::upgrade);
            async move {
                match facts {
                    Some(facts) => Ok(Json::new(Row::of(&facts))),
                    None => Err(HandlerError::new("the node is not up")),
                }
            }
        })
        .subroute(ROUTE)
        .into()
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
        let peers = self.facts.manager().connections();
        let asked = peers.iter().take(MOST_NODES).map(|peer| {
            let other = known.others.get(peer.name());
            ask(peer, other.copied())
        });
        let mut rows = Rows::new();
        let mut others = HashMap::new();
        for (peer, (instance, row)) in peers.iter().zip(join_all(asked).await) {
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
}

/// Why there is no row.
#[derive(Debug, thiserror::Error)]
enum NoRow {
    #[error("no link to it")]
    Down,
    #[error("it runs another program, or an older one")]
    Other,
    #[error("{0}")]
    Failed(String),
}

/// Asks one peer, unless its run is that of `other`, which is known to have no answer.
async fn ask(
    peer: &Connection,
    other: Option<InstanceId>,
) -> (Option<InstanceId>, Result<Row, NoRow>) {
    let LinkState::Connected { peer: instance, .. } = peer.state() else {
        return (None, Err(NoRow::Down));
    };
    if other == Some(instance) {
        return (Some(instance), Err(NoRow::Other));
    }
    let call = ROW.call(&peer.subroute(ROUTE), &NoPayload).timeout(WITHIN);
    let row = match call.await {
        Ok(row) => match row.into_inner() {
            Some(mut row) => {
                row.links.truncate(MOST_LINKS);
                Ok(row)
            }
            None => Err(NoRow::Failed("its answer is empty".to_owned())),
        },
        Err(TypedError::Call(CallError::UnknownHandler(_))) => Err(NoRow::Other),
        Err(error) => Err(NoRow::Failed(error.to_string())),
    };
    (Some(instance), row)
}
