//! The bounded queue of deltas between a table and a table derived of it.
//!
//! Invariant: the source pushes a delta before it replies to the batch's sender, so a follower that drains the queue
//! before it replies is never behind. Beyond [`tuning::WAITING_DELTAS`] deltas of similar size are merged, and a
//! merged delta is again a delta; the queue then holds a few more, whose sizes grow geometrically. Deltas are gapless: each starts at the version at which the previous one ends.

use std::collections::VecDeque;
use std::collections::hash_map::Entry;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use proscenium_engine::delta::TableDelta;
use tokio::sync::Notify;

use crate::outbox::DerivedSlots;
use crate::tuning;

/// A queue shared by a table and its follower.
#[derive(Debug, Default)]
pub struct DeltaQueue {
    waiting: Mutex<VecDeque<Arrival>>,
    changed: Notify,
    ended: AtomicBool,
}

/// A delta, and the slots in which the follower notifies of it.
pub type Arrival = (Arc<TableDelta>, DerivedSlots);

impl DeltaQueue {
    /// Appends a delta; [`DeltaQueue::wake`] wakes the follower.
    pub(crate) fn push(&self, delta: Arc<TableDelta>, derived_slots: DerivedSlots) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if self.ended.load(Ordering::Acquire) {
            return;
        }
        waiting.push_back((delta, derived_slots));
        while waiting.len() > tuning::WAITING_DELTAS && merge_last(&mut waiting) {}
    }

    pub(crate) fn wake(&self) {
        self.changed.notify_one();
    }

    /// Removes all deltas, in order.
    pub fn drain(&self) -> VecDeque<Arrival> {
        std::mem::take(&mut self.waiting.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Resolves when deltas may have been pushed since the last call.
    pub async fn changed(&self) {
        self.changed.notified().await;
    }

    /// Ends the queue: pending deltas and their slots are dropped, later ones are ignored.
    pub fn end(&self) {
        let unsent = {
            let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            self.ended.store(true, Ordering::Release);
            std::mem::take(&mut *waiting)
        };
        drop(unsent);
    }

    /// Whether the follower holds the queue and has not ended it.
    pub(crate) fn is_followed(self: &Arc<Self>) -> bool {
        Arc::strong_count(self) > 1 && !self.ended.load(Ordering::Acquire)
    }
}

/// Whether a waiting delta is merged with the next one: it is not much larger. So the sizes of those that wait grow
/// geometrically, and each row is merged O(log n) times.
pub(crate) fn merges(before: &TableDelta, next: &TableDelta) -> bool {
    before.num_rows() <= 2 * next.num_rows().max(1)
}

/// Merges the last two deltas if the first is not much larger.
fn merge_last(waiting: &mut VecDeque<Arrival>) -> bool {
    let Some((last, derived_slots)) = waiting.pop_back() else { return false };
    match waiting.back_mut() {
        Some((before, held)) if merges(before, &last) => {
            *before = Arc::new(before.then(&last));
            for (session, derived_slot) in derived_slots {
                // Each connection's first slot is kept, so that no later reply overtakes the notification of the first
                // batch.
                if let Entry::Vacant(entry) = held.entry(session) {
                    entry.insert(derived_slot);
                }
            }
            true
        }
        _ => {
            waiting.push_back((last, derived_slots));
            false
        }
    }
}

#[cfg(test)]
mod tests {
    use proscenium_engine::table::Table;
    use proscenium_engine::{TableData, TableOptions};

    use super::*;

    #[test]
    fn the_queue_is_bounded_and_gapless() {
        let rows = |number: usize| TableData::Rows(format!("[{{\"x\":{number}}}]").into());
        let mut table = Table::create(&rows(0), TableOptions::default()).unwrap();
        let queue = DeltaQueue::default();
        let mut version = table.version();
        for number in 0..10 * tuning::WAITING_DELTAS {
            queue.push(Arc::new(table.update(&rows(number), 0).unwrap().unwrap()), DerivedSlots::default());
        }
        let waiting: Vec<_> = queue.drain().into_iter().map(|(delta, _)| delta).collect();
        let num_rows = 10 * tuning::WAITING_DELTAS;
        assert!(waiting.len() <= tuning::WAITING_DELTAS + num_rows.ilog2() as usize, "{}", waiting.len());
        for delta in &waiting {
            assert_eq!(delta.from(), version);
            version = delta.to();
        }
        assert_eq!(version, table.version());
        let num_inserted: usize = waiting.iter().map(|delta| delta.inserted.len()).sum();
        assert_eq!(num_inserted, 10 * tuning::WAITING_DELTAS);
    }

    #[test]
    fn a_queue_is_followed_while_its_follower_holds_it() {
        let queue = Arc::<DeltaQueue>::default();
        assert!(!queue.is_followed());
        let held = queue.clone();
        assert!(queue.is_followed());
        held.end();
        assert!(!queue.is_followed());
    }
}
