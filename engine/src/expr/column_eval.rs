//! Evaluates an expression for a whole column.
//!
//! Invariant: the cells are those that [`Expression::write_rows`] writes.
//!
//! Cost: a column without texts is computed by slot, a page of slots at a time and on several threads, each of which
//! fills pages of its own. Expressions evaluated row by row, and texts, whose codes are assigned sequentially, are
//! computed in key order on one thread.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};

use super::fused_eval::Plain;
use super::stack::with_stack;
use super::{Expression, VectorEvaluator, VolatileInputs};
use crate::column::{CHUNK, Column, Interner, PAGE_ROWS};
use crate::interrupt::checkpoint;
use crate::memory::{MemoryRefused, MemoryReservation};
use crate::parallel::Threads;
use crate::storage::Snapshot;
use crate::types::schema::Storage;

/// Minimum number of pages that is worth a thread of its own.
const PART_PAGES: usize = 8;

impl Expression {
    /// Computes the column of all rows of a snapshot. What it takes is reserved: cells before they are computed, texts
    /// block by block.
    ///
    /// # Errors
    ///
    /// The account refuses.
    pub(crate) fn column(
        &self,
        snapshot: &Snapshot,
        threads: Threads,
        inputs: &mut VolatileInputs,
        memory: &mut MemoryReservation,
    ) -> Result<(Column, Option<Interner>), MemoryRefused> {
        let num_slots = snapshot.order().live_slots().num_pages() * PAGE_ROWS;
        memory.grow((num_slots * Column::bytes_of(self.storage)) as u64)?;
        if let Some(column) = self.column_by_slot(snapshot, threads, inputs.now_ms) {
            return Ok((column, None));
        }
        let cells = memory.bytes();
        memory.grow((snapshot.num_rows() * size_of::<u32>()) as u64)?;
        let slots: Vec<u32> = snapshot.order().iter_from(0).collect();
        let mut column = Column::new(self.storage);
        let mut interner = (self.storage == Storage::Utf8).then(Interner::default);
        self.write_within(snapshot, &slots, &mut column, &mut interner, inputs, memory)?;
        let texts = match (&column, &interner) {
            (Column::Str(_, strings), Some(interner)) => strings.memory() + interner.memory(),
            _ => 0,
        };
        memory.shrink_to(cells + texts as u64);
        Ok((column, interner))
    }

    fn column_by_slot(&self, snapshot: &Snapshot, threads: Threads, now_ms: i64) -> Option<Column> {
        if self.storage == Storage::Utf8 || self.is_random {
            return None;
        }
        let live = snapshot.order().live_slots();
        let plain = Plain::of(self, snapshot);
        let is_for_rows = AtomicBool::new(false);
        let compute = |pages: Range<usize>| {
            let mut column = Column::new(self.storage);
            if let Some(plain) = &plain {
                let chunks = PAGE_ROWS / CHUNK;
                for chunk in pages.start * chunks..pages.end * chunks {
                    if chunk % chunks == 0 {
                        checkpoint();
                    }
                    plain.write(snapshot, chunk, live.chunk(chunk), &mut column);
                }
                return (pages, column);
            }
            let mut run = VectorEvaluator::new(self, snapshot, pages.len() * PAGE_ROWS, now_ms);
            let mut slots = Vec::with_capacity(PAGE_ROWS);
            for page in pages.clone() {
                checkpoint();
                live.page(page, &mut slots);
                // Another part may have found that vector evaluation does not apply.
                if is_for_rows.load(Ordering::Relaxed) {
                    break;
                }
                if !slots.is_empty() && !run.write(&mut column, None, &slots) {
                    is_for_rows.store(true, Ordering::Relaxed);
                }
            }
            (pages, column)
        };
        let parts = threads
            .parts_of(live.num_pages(), 1, PART_PAGES, |pages| with_stack(self.is_deep, || compute(pages)));
        if is_for_rows.into_inner() {
            return None;
        }
        let mut parts = parts.into_iter();
        let (_, mut column) = parts.next()?;
        for (pages, part) in parts {
            column.take_pages(part, pages);
        }
        Some(column)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{TableData, TableOptions};
    use crate::memory::{MemoryAccount, MemoryKind};
    use crate::table::Table;
    use crate::types::schema::ColumnType;

    /// Rows in arbitrary key order, with gaps in the slots, over several pages and threads.
    #[test]
    fn a_whole_column_is_its_rows() {
        let columns = [("k", ColumnType::Integer), ("x", ColumnType::Float), ("n", ColumnType::Integer)];
        let schema = TableData::Schema(columns.map(|(name, kind)| (name.to_owned(), kind)).to_vec());
        let options = TableOptions { index: Some("k".into()), ..TableOptions::default() };
        let mut table = Table::create(&schema, options).unwrap();
        let num_rows = 20 * PAGE_ROWS as u64 + 77;
        let keys = |of: u64| (0..of).map(move |row| row * 7919 % num_rows);
        let list = |cells: Vec<String>| format!("[{}]", cells.join(","));
        let data = format!(
            "{{\"k\":{},\"x\":{},\"n\":{}}}",
            list(keys(num_rows).map(|key| key.to_string()).collect()),
            list(
                keys(num_rows)
                    .map(|key| if key % 9 == 0 { "null".into() } else { (key as f64 / 8.0).to_string() })
                    .collect()
            ),
            list(keys(num_rows).map(|key| (key % 5).to_string()).collect()),
        );
        table.update(&TableData::Columns(data.into()), 0).unwrap();
        let gone = list(keys(9000).map(|key| key.to_string()).collect());
        table.remove(&TableData::Rows(gone.into())).unwrap();
        let snapshot = table.snapshot();
        let slots: Vec<u32> = snapshot.order().iter_from(0).collect();
        for text in [
            "\"x\" * \"n\"",
            "\"n\" + 1 - 1",
            "upper(string(\"n\"))",
            "\"x\" > 5000",
            "round(\"x\")",
            "random() * 0",
        ] {
            let expression = Expression::new("e", text, snapshot.schema(), Some(0)).unwrap();
            let mut rows = Column::new(expression.storage);
            let mut interner = (expression.storage == Storage::Utf8).then(Interner::default);
            expression.write_rows(&snapshot, &slots, &mut rows, &mut interner, &mut { VolatileInputs::NONE });
            for threads in [1, 3] {
                let mut memory = MemoryAccount::unlimited().nothing(MemoryKind::ComputedColumns);
                let (whole, interner) = expression
                    .column(&snapshot, Threads::new(threads), &mut { VolatileInputs::NONE }, &mut memory)
                    .unwrap();
                assert_eq!(interner.is_some(), expression.storage == Storage::Utf8);
                for slot in 0..num_rows as u32 + 300 {
                    assert_eq!(
                        whole.scalar(slot),
                        rows.scalar(slot),
                        "{text}, slot {slot}, {threads} threads"
                    );
                }
            }
        }
    }
}
