//! A follower: stores what the leader sends, and says how far it is.

use std::sync::Arc;

use grid_transport::Builder;
use grid_typed::{HandlerError, ManagerBuilderExt as _, TypedStreamCall};

use crate::log::Log;
use crate::protocol::{Entry, FOLLOW, Opening, Stored};

/// Registers the handler of a follower with this log.
pub(crate) fn register(node: Builder, log: &Arc<Log>) -> Builder {
    let log = log.clone();
    node.typed_stream(&FOLLOW, move |opening, call| {
        follow(log.clone(), opening, call)
    })
}

/// Dropped where it awaits when the link is lost; what it has stored stays stored.
async fn follow(
    log: Arc<Log>,
    opening: Opening,
    mut call: TypedStreamCall<Entry, Stored>,
) -> Result<(), HandlerError> {
    let entries = log.len();
    if entries > opening.entries {
        // The leader has lost some, or it is not the one that this log is from.
        let leader = opening.entries;
        let text = format!("this follower has {entries} entries, and the leader only {leader}");
        return Err(HandlerError::new(text));
    }
    call.send(&Stored { entries }).await?;
    while let Some(entry) = call.recv().await {
        let entries = log.store(entry?).await?;
        call.send(&Stored { entries }).await?;
    }
    Ok(())
}
