//! Epoch-based reclamation of text codes.
//!
//! Invariant: a retired code is reclaimed only when every snapshot taken before its text went out of use has been
//! dropped. Snapshots of one version hold its epoch; the queue has one entry per batch, in the order of versions,
//! so an entry is due when its epoch and all earlier ones are dropped.

use std::collections::VecDeque;
use std::sync::{Arc, Weak};

use super::{Column, Interner};

/// Retired codes awaiting reclamation, by column.
type RetiredCodes = Vec<(usize, Vec<u32>)>;

#[derive(Debug, Default)]
pub(crate) struct CodeReclaim {
    queue: VecDeque<(Weak<()>, RetiredCodes)>,
}

impl CodeReclaim {
    /// Drops the retired codes of a column that is about to be replaced: they have no meaning in its successor.
    pub(crate) fn drop_column(&mut self, column: usize) {
        for (_, retired) in &mut self.queue {
            retired.retain(|(position, _)| *position != column);
        }
    }

    /// Ends a batch: retires the unused text of all columns, starts the next epoch, and reclaims the codes that are
    /// due.
    pub(crate) fn end_batch(
        &mut self,
        columns: &mut [Column],
        interners: &mut [Option<Interner>],
        epoch: &mut Arc<()>,
    ) {
        let mut retired = Vec::new();
        for (position, (column, interner)) in columns.iter().zip(&mut *interners).enumerate() {
            if let (Column::Str(_, strings), Some(interner)) = (column, interner) {
                let codes = interner.retire(strings);
                if !codes.is_empty() {
                    retired.push((position, codes));
                }
            }
        }
        self.queue.push_back((Arc::downgrade(&std::mem::take(epoch)), retired));
        while self.queue.front().is_some_and(|(epoch, _)| epoch.strong_count() == 0) {
            let (_, retired) = self.queue.pop_front().expect("the queue is not empty");
            for (position, codes) in retired {
                if let (Column::Str(_, strings), Some(interner)) =
                    (&mut columns[position], &mut interners[position])
                {
                    interner.reclaim(strings, codes);
                }
            }
        }
    }
}
