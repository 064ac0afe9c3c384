//! Putting a table together from its rows in key order.
//!
//! Invariant: slots are positions, so no slot is free and rows of gapless keys are a ring from slot 0. Cost: O(rows), as a
//! first load.

use std::cmp::Ordering;

use arrow::array::RecordBatch;

use super::{Keys, OwnedTable};
use crate::column::{ChunkedVec, Slots, Writes};
use crate::data::TableOptions;
use crate::error::Result;
use crate::parallel::Threads;
use crate::sorted::OrderTree;
use crate::storage::{KeyIndex, KeyOrder};
use crate::table::checkpoint::{KeyState, TableState, damaged, explicit_keys};
use crate::table::definition::TableDefinition;
use crate::types::schema::Schema;

impl OwnedTable {
    /// Everything of the table except its rows.
    pub fn state(&self) -> TableState {
        let is_wide = |column: &usize| self.columns[*column].is_wide();
        TableState {
            definition: TableDefinition::new(&self.schema, &self.options),
            version: self.version,
            num_rows: self.num_rows(),
            num_ports: self.num_ports,
            next_key: self.counter,
            keys: KeyState::of(&self.snapshot()),
            wide_columns: (0..self.columns.len()).filter(is_wide).collect(),
            loads: self.loads.clone(),
        }
    }

    /// A table without its rows yet.
    pub fn restored(schema: Schema, options: TableOptions, state: &TableState) -> OwnedTable {
        let mut table = OwnedTable::empty(schema, options);
        if state.keys == KeyState::Explicit {
            table.keys = Keys::Explicit { cells: ChunkedVec::default(), index: KeyIndex::default() };
        }
        table
    }

    /// Appends rows, whose columns have the types of this table's.
    pub fn restore_rows(&mut self, batch: &RecordBatch, threads: Threads) -> Result<()> {
        let (start, len) = (self.num_slots, batch.num_rows());
        let Some(end) = u32::try_from(len).ok().and_then(|len| start.checked_add(len)) else {
            return Err(damaged("there are more rows than a table holds"));
        };
        let cells = self.columns.writers().zip(batch.columns());
        threads.for_load(len).deal(cells.collect(), |((column, interner), values)| {
            let writes = Writes { slots: Slots::Run { start, len }, skip: None, first_row: 0 };
            column.write(interner.as_mut(), values, writes);
        });
        self.num_slots = end;
        match (&mut self.keys, self.index) {
            (Keys::Index(index), Some(column)) => {
                let column = &self.columns[column];
                index.reserve(len, |slot| column.bits(slot));
                for slot in start..end {
                    index.insert(column.bits(slot), slot, |slot| column.bits(slot));
                }
            }
            (Keys::Explicit { cells, index }, _) => {
                let keys = explicit_keys(batch)?;
                cells.write_run(start, keys.values(), |_| true);
                for (slot, key) in (start..end).zip(keys.values()) {
                    index.insert(Some(*key as u64), slot, |slot| cells.get(slot).map(|key| key as u64));
                }
            }
            (Keys::Index(_) | Keys::Sequential { .. }, _) => {}
        }
        // The last row before this batch, too, is compared with the next one.
        let is_ascending = |slot: u32| match (&self.keys, self.index) {
            (Keys::Index(_), Some(column)) => self.columns[column].compare(slot - 1, slot) == Ordering::Less,
            (Keys::Explicit { cells, .. }, _) => cells.get(slot - 1) < cells.get(slot),
            (Keys::Index(_) | Keys::Sequential { .. }, _) => true,
        };
        if (start.max(1)..end).all(is_ascending) { Ok(()) } else { Err(damaged("the keys do not ascend")) }
    }

    /// Sets what is not rows.
    pub fn finish_restore(&mut self, state: &TableState) -> Result<()> {
        let len = self.num_slots;
        if len as usize != state.num_rows {
            return Err(damaged(&format!("there are {len} rows of {}", state.num_rows)));
        }
        match (&mut self.keys, state.keys) {
            (Keys::Index(_), KeyState::Index) | (Keys::Explicit { .. }, KeyState::Explicit) => {}
            (Keys::Sequential { first_key }, KeyState::Sequential { first_key: first }) => *first_key = first,
            _ => return Err(damaged("the keys are not of the table's kind")),
        }
        self.order = match KeyOrder::empty(self.options.limit) {
            KeyOrder::Ring { start, capacity, .. } if state.keys != KeyState::Explicit => {
                if len > capacity || self.options.limit == Some(0) && len > 0 {
                    return Err(damaged("there are more rows than the table's limit"));
                }
                KeyOrder::Ring { start, len, capacity }
            }
            KeyOrder::Ring { .. } | KeyOrder::Tree(_) => KeyOrder::Tree(OrderTree::from_sorted(0..len)),
        };
        for &column in &state.wide_columns {
            if column >= self.columns.len() {
                return Err(damaged("a wide column is no column"));
            }
            self.columns[column].widen();
        }
        self.counter = state.next_key;
        self.version = state.version;
        self.num_ports = state.num_ports;
        self.loads = state.loads.clone();
        Ok(())
    }
}
