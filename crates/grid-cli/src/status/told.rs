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
    use grid_transport::testing;

    use super::*;
    use crate::status::Events;

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
}
