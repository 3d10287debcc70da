//! The links of a node, by the names of their remotes.

use std::{collections::BTreeMap, mem, sync::Arc};

use parking_lot::RwLock;
use tokio_util::sync::CancellationToken;

use super::shared::LinkShared;

/// The links of a node.
#[derive(Default)]
pub(crate) struct Links(RwLock<Table>);

#[derive(Default)]
struct Table {
    live: BTreeMap<Arc<str>, Arc<LinkShared>>,
    /// Links that were taken off the list, and when the last of each name is gone.
    leaving: BTreeMap<Arc<str>, CancellationToken>,
}

impl Links {
    /// Makes a link with what has to be gone before it begins. `None`, without any change, when there is one of that
    /// name.
    pub(crate) fn insert(
        &self,
        name: &str,
        make: impl FnOnce(Option<CancellationToken>) -> Arc<LinkShared>,
    ) -> Option<Arc<LinkShared>> {
        let mut links = self.0.write();
        if links.live.contains_key(name) {
            return None;
        }
        let link = make(links.leaving.get(name).cloned());
        links.live.insert(link.name.clone(), link.clone());
        Some(link)
    }

    pub(crate) fn remove(&self, name: &str) -> Option<Arc<LinkShared>> {
        let mut links = self.0.write();
        let link = links.live.remove(name)?;
        // It waits for those before it, so its end is theirs too.
        links.leaving.insert(link.name.clone(), link.gone.clone());
        Some(link)
    }

    /// Keeps no trace of links that are gone.
    pub(crate) fn forget_gone(&self) {
        let mut links = self.0.write();
        links.leaving.retain(|_, gone| !gone.is_cancelled());
    }

    /// Takes all links out; the node and its links refer to each other.
    pub(crate) fn clear(&self) -> Vec<Arc<LinkShared>> {
        mem::take(&mut self.0.write().live).into_values().collect()
    }

    /// The link to a remote.
    pub(crate) fn get(&self, name: &str) -> Option<Arc<LinkShared>> {
        self.0.read().live.get(name).cloned()
    }

    /// All links, sorted by name.
    pub(crate) fn all(&self) -> Vec<Arc<LinkShared>> {
        self.0.read().live.values().cloned().collect()
    }
}
