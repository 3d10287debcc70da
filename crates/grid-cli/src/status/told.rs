//! The row of a node, as it tells it to peers that ask.

use std::{
    sync::{Arc, OnceLock, Weak},
    time::Duration,
};

use bytes::Bytes;
use grid_transport::{HandlerError, HandlerId, Payload, Registration, SingleHandler};
use tokio::time::Instant;

use super::{Facts, row::Row};

/// A node's links. The subroute is what makes sure that nobody else is meant: a node that runs another program, such as
/// one of MinIO, refuses it as unknown.
pub(super) const ROW: HandlerId = HandlerId::new(79);
pub(super) const ROUTE: &str = "grid/status/row/v1";

/// For how long one row is told to everybody, so that asking often costs next to nothing.
const TOLD: Duration = Duration::from_secs(1);

/// Questions that are answered at one time; others are refused.
const MOST_ASKERS: usize = 2;

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

#[cfg(test)]
mod tests {
    use futures_util::future::join_all;
    use grid_transport::{Builder, CallError, Connection, testing};
    use tokio::{task::JoinSet, time::timeout};

    use super::*;
    use crate::status::Events;

    /// Far longer than anything here takes.
    const PATIENCE: Duration = Duration::from_secs(20);

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
