//! A table's position among its sources and the tables derived of it, and the connections subscribed to a derived
//! table.
//!
//! Invariant: a connection is a listener of a table while it subscribes to a view of it, or of a table derived of it. A
//! source reserves a slot for each listener with every batch.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::outbox::{Outbox, SessionId};

/// A table's rank among those that notify of one batch.
#[derive(Debug, Clone, Default)]
pub struct Lineage {
    /// 0 for a written table; then, for each step of derivation, tables of views before joins.
    pub derivation_rank: u32,
    /// Connections subscribed to the table or to a table derived of it.
    pub listeners: Arc<Listeners>,
}

impl Lineage {
    /// The lineage of a table made from a view of `source`.
    pub fn of_view(source: &Lineage) -> Lineage {
        Lineage { derivation_rank: 2 * source.depth() + 1, listeners: Arc::default() }
    }

    /// The lineage of a join of `sources`.
    pub fn of_join<'a>(sources: impl Iterator<Item = &'a Lineage>) -> Lineage {
        let depth = sources.map(Lineage::depth).max().unwrap_or_default();
        Lineage { derivation_rank: 2 * depth + 2, listeners: Arc::default() }
    }

    /// Number of derivations between this table and the written ones.
    fn depth(&self) -> u32 {
        self.derivation_rank.div_ceil(2)
    }
}

/// The listeners of one table.
#[derive(Debug, Default)]
pub struct Listeners {
    /// Each with the number of its guards; an entry is removed with its last guard.
    listeners: Mutex<HashMap<SessionId, (Arc<Outbox>, usize)>>,
}

/// Keeps a connection among the listeners until it is dropped.
#[derive(Debug)]
pub struct ListenGuard {
    listeners: Arc<Listeners>,
    session: SessionId,
}

impl Listeners {
    /// Adds a connection.
    pub fn add(self: &Arc<Self>, outbox: &Arc<Outbox>) -> ListenGuard {
        let session = outbox.session();
        self.lock().entry(session).or_insert_with(|| (outbox.clone(), 0)).1 += 1;
        ListenGuard { listeners: self.clone(), session }
    }

    /// The outboxes of all listeners, in no particular order.
    pub fn outboxes(&self) -> Vec<Arc<Outbox>> {
        self.lock().values().map(|(outbox, _)| outbox.clone()).collect()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<SessionId, (Arc<Outbox>, usize)>> {
        self.listeners.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for ListenGuard {
    fn drop(&mut self) {
        let mut listeners = self.listeners.lock();
        if let Some((_, count)) = listeners.get_mut(&self.session) {
            *count -= 1;
            if *count == 0 {
                listeners.remove(&self.session);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proscenium_engine::MemoryAccount;

    use super::*;
    use crate::limits::Limits;
    use crate::metrics::ActorMetrics;

    #[test]
    fn a_connection_is_a_listener_until_its_last_subscription_ends() {
        let listeners = Arc::<Listeners>::default();
        let outbox = Outbox::new(
            SessionId::fresh(),
            Limits::default(),
            ActorMetrics::new().unwrap(),
            MemoryAccount::unlimited(),
        );
        let (first, second) = (listeners.add(&outbox), listeners.add(&outbox));
        drop(first);
        assert_eq!(listeners.outboxes().len(), 1);
        drop(second);
        assert!(listeners.outboxes().is_empty());
    }

    #[test]
    fn tables_of_views_rank_before_joins_and_both_before_tables_derived_of_them() {
        let written = Lineage::default();
        let (of_view, of_join) =
            (Lineage::of_view(&written), Lineage::of_join([&written, &written].into_iter()));
        assert_eq!((of_view.derivation_rank, of_join.derivation_rank), (1, 2));
        assert_eq!(Lineage::of_view(&of_view).derivation_rank, 3);
        assert_eq!(Lineage::of_join([&of_view, &of_join].into_iter()).derivation_rank, 4);
    }
}
