//! A table's deltas as somebody else follows them: a derived table, a live export.
//!
//! Law: the table puts each delta in before it answers the batch's sender, so whoever drains the tail before it answers
//! anything is never behind. The tail is bounded: beyond [`tuning::WAITING_DELTAS`] deltas merge, and a merged delta is
//! again a delta. Deltas are gapless: each begins where the one before it ends.

use std::collections::VecDeque;
use std::collections::hash_map::Entry;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use proscenium_engine::delta::TableDelta;
use tokio::sync::Notify;

use crate::outbox::DerivedSlots;
use crate::tuning;

/// Shared by the table and its follower.
#[derive(Debug, Default)]
pub struct Tail {
    waiting: Mutex<VecDeque<Arrival>>,
    changed: Notify,
    ended: AtomicBool,
}

/// A delta, and where the follower may speak of it.
pub type Arrival = (Arc<TableDelta>, DerivedSlots);

impl Tail {
    /// The follower hears of it with the next [`Tail::wake`], or looks by itself.
    pub(crate) fn push(&self, delta: Arc<TableDelta>, derived_slots: DerivedSlots) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if self.ended.load(Ordering::Acquire) {
            return;
        }
        if waiting.len() >= tuning::WAITING_DELTAS
            && let Some((last, held)) = waiting.back_mut()
        {
            *last = Arc::new(last.then(&delta));
            for (session, derived_slot) in derived_slots {
                // Each connection's first turn is kept, so that no later answer overtakes the news of the first batch.
                if let Entry::Vacant(entry) = held.entry(session) {
                    entry.insert(derived_slot);
                }
            }
        } else {
            waiting.push_back((delta, derived_slots));
        }
    }

    pub(crate) fn wake(&self) {
        self.changed.notify_one();
    }

    /// Everything that waits, in order.
    pub fn drain(&self) -> VecDeque<Arrival> {
        std::mem::take(&mut self.waiting.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Deltas may have come since the last call.
    pub async fn changed(&self) {
        self.changed.notified().await;
    }

    /// The follower wants no more, and says no more.
    pub fn end(&self) {
        let unsent = {
            let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            self.ended.store(true, Ordering::Release);
            std::mem::take(&mut *waiting)
        };
        drop(unsent);
    }

    /// Whether anybody but the table holds the tail and wants more.
    pub(crate) fn is_followed(self: &Arc<Self>) -> bool {
        Arc::strong_count(self) > 1 && !self.ended.load(Ordering::Acquire)
    }
}

#[cfg(test)]
mod tests {
    use proscenium_engine::table::Table;
    use proscenium_engine::{TableData, TableOptions};

    use super::*;

    #[test]
    fn a_tail_is_bounded_and_gapless() {
        let rows = |number: usize| TableData::Rows(format!("[{{\"x\":{number}}}]").into());
        let mut table = Table::create(&rows(0), TableOptions::default()).unwrap();
        let tail = Tail::default();
        let mut version = table.version();
        for number in 0..10 * tuning::WAITING_DELTAS {
            tail.push(Arc::new(table.update(&rows(number), 0).unwrap().unwrap()), DerivedSlots::default());
        }
        let waiting: Vec<_> = tail.drain().into_iter().map(|(delta, _)| delta).collect();
        assert_eq!(waiting.len(), tuning::WAITING_DELTAS);
        for delta in &waiting {
            assert_eq!(delta.from(), version);
            version = delta.to();
        }
        assert_eq!(version, table.version());
        let num_inserted: usize = waiting.iter().map(|delta| delta.inserted.len()).sum();
        assert_eq!(num_inserted, 10 * tuning::WAITING_DELTAS);
    }

    #[test]
    fn a_tail_is_followed_while_somebody_holds_it() {
        let tail = Arc::<Tail>::default();
        assert!(!tail.is_followed());
        let held = tail.clone();
        assert!(tail.is_followed());
        held.end();
        assert!(!tail.is_followed());
    }
}
