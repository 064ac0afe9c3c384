//! Text codes that went out of use and wait until nobody sees them.
//!
//! Law: a code rests until every snapshot taken before its text went out of use is gone. Snapshots of one version hold
//! its epoch; entries are in the order of versions, one a batch, so an entry is over when it and all before it are.

use std::collections::VecDeque;
use std::sync::{Arc, Weak};

use super::{Column, Interner};

/// Codes by column.
type RetiredCodes = Vec<(usize, Vec<u32>)>;

#[derive(Debug, Default)]
pub(crate) struct CodeReclaim {
    queue: VecDeque<(Weak<()>, RetiredCodes)>,
}

impl CodeReclaim {
    /// Forgets a column that another one will replace: its codes mean nothing there.
    pub(crate) fn forget(&mut self, column: usize) {
        for (_, retired) in &mut self.queue {
            retired.retain(|(position, _)| *position != column);
        }
    }

    /// Ends a batch: takes the unused text of all columns out of use, begins the next epoch, and frees the codes whose
    /// rest is over.
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
            let (_, retired) = self.queue.pop_front().expect("the front was just looked at");
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
