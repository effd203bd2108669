//! What many tasks work out from the same answers of all servers: looked at and worked out once for all of them.

use std::any::{Any, TypeId};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use jiff::Timestamp;

use super::{FRESH, Probe, Scope};

/// Kept by type, since there is one thing to know of a kind, and by how often servers were changed before.
pub(super) type Shelf = quick_cache::sync::Cache<(TypeId, u64), Kept>;

/// What was worked out, and when the looks for it began.
#[derive(Clone)]
pub(super) struct Kept {
    at: Timestamp,
    value: Arc<dyn Any + Send + Sync>,
}

impl Probe<'_> {
    /// What `look` finds by asking the servers *now*. It serves other tasks for as long as an answer does: for 30 s,
    /// unless any server is changed in between. What comes as `Err` serves this task alone. `None` in a dry run that
    /// has predicted changes: then each task must look for itself.
    pub async fn shared<T: Send + Sync + 'static>(
        &self,
        look: impl Future<Output = Result<T, T>> + Send,
    ) -> Option<Arc<T>> {
        if !self.overlay.is_empty() {
            return None;
        }
        let (changes, at) = (self.scope.changes_of_servers(), self.scope.clock.now());
        let (shelf, kind) = (&self.scope.shelf, (TypeId::of::<T>(), changes));
        let is_stale = |kept: Kept| at.duration_since(kept.at) > FRESH;
        if shelf.get(&kind).is_some_and(is_stale) {
            shelf.remove(&kind);
        }
        let keep = async {
            let value: Arc<dyn Any + Send + Sync> = Arc::new(look.await?);
            Ok(Kept { at, value })
        };
        match shelf.get_or_insert_async(&kind, keep).await {
            Ok(kept) => kept.value.downcast().ok(),
            Err(own) => Some(Arc::new(own)),
        }
    }
}

impl Scope {
    fn changes_of_servers(&self) -> u64 {
        let servers = self.fleet.servers.iter();
        servers
            .filter_map(|member| Some(self.changes.get(&member.name)?.load(Ordering::Acquire)))
            .sum()
    }
}
