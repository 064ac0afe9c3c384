//! A read-only join of two tables that is kept up to date.
//!
//! Invariant: bilinear; the state is the rows of each join key ([`matches`]). Rows are in the left table's key
//! order, matches of one left row in the right table's, right rows without a match after all others. A null key
//! matches nothing. Cost: a step of k rows is O(k + matches): it writes and lists only the pairs that were added,
//! removed or changed.

mod matches;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::Arc;

use ahash::RandomState;
use arrow::array::ArrayRef;
use serde::{Deserialize, Serialize};

use crate::column::{ChunkedVec, Column, ColumnSet, Slots, Writes};
use crate::context::EngineContext;
use crate::error::{JoinSideName, Result, TableError};
use crate::memory::MemoryKind;
use crate::sorted::OrderTree;
use crate::storage::KeyOrder;
use crate::storage::TableDelta;
use crate::storage::{PairOrder, RowKeys, Snapshot, SnapshotData};
use crate::types::schema::{Field, Schema, Storage};
use matches::{Matches, Pair, PairChanges};

/// The join columns, and which rows without a match are included.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JoinSpec {
    /// The left table's join column.
    pub on: String,
    /// The right table's join column; `None` if it has the same name.
    pub right_on: Option<String>,
    /// Which rows without a match are included.
    pub kind: JoinKind,
}

/// Which rows without a match a join includes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum JoinKind {
    /// None: only pairs that match.
    #[default]
    Inner,
    /// Left rows, with nulls in the right columns.
    Left,
    /// Left and right rows, with nulls in the other side's columns.
    Outer,
}

/// A source of a join.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JoinSide {
    /// The table whose columns come first and whose key order the rows follow.
    Left,
    /// The table whose columns, except its join column, follow the left ones.
    Right,
}

#[derive(Debug)]
pub(super) struct JoinedTable {
    matches: Matches,
    schema: Schema,
    num_left: usize,
    /// The columns of the right table, except its key, in the order in which they follow the left ones.
    right_columns: Vec<usize>,
    left_key: usize,
    right_key: usize,
    cells: ColumnSet,
    slots: HashMap<Pair, u32, RandomState>,
    free: Vec<u32>,
    num_slots: u32,
    pairs: PairOrder,
    order: OrderTree,
    num_ports: u32,
    version: u64,
    snapshot: Snapshot,
}

/// Bytes of a pair that is added, beside its cells: in the list, where that is sorted, its slot, found by pair, its two
/// source slots, and its place in the order.
const PAIR_BYTES: usize = 2 * size_of::<Pair>()
    + 2 * size_of::<u32>()
    + 2 * (size_of::<(Pair, u32)>() + 1)
    + 2 * (size_of::<u32>() + 1)
    + OrderTree::ENTRY_BYTES;

impl JoinedTable {
    pub(super) fn new(
        left: &Snapshot,
        right: &Snapshot,
        spec: &JoinSpec,
        context: &EngineContext,
    ) -> Result<JoinedTable> {
        let right_on = spec.right_on.as_deref().unwrap_or(&spec.on);
        let key_of = |snapshot: &Snapshot, name: &str, side| {
            let found = snapshot.schema().index_of(name);
            found.ok_or_else(|| TableError::JoinColumn { column: name.to_owned(), side })
        };
        let left_key = key_of(left, &spec.on, JoinSideName::Left)?;
        let right_key = key_of(right, right_on, JoinSideName::Right)?;
        let key_type = |side: &Snapshot, key| side.schema().field(key).column_type();
        if key_type(left, left_key) != key_type(right, right_key) {
            return Err(TableError::JoinTypes.into());
        }
        let right_columns: Vec<usize> =
            (0..right.schema().len()).filter(|&column| column != right_key).collect();
        let mut fields: Vec<Field> = left.schema().fields().to_vec();
        for &column in &right_columns {
            let field = right.schema().field(column);
            if left.schema().index_of(&field.name).is_some() {
                return Err(TableError::JoinConflict { column: field.name.to_string() }.into());
            }
            fields.push(field.clone());
        }
        let schema = Schema::new(fields);
        let cells = ColumnSet::new(&schema);
        let pairs = PairOrder {
            left: left.clone(),
            right: right.clone(),
            lefts: ChunkedVec::default(),
            rights: ChunkedVec::default(),
        };
        let mut memory = context.memory.nothing(MemoryKind::Joins);
        memory.grow(((left.num_rows() + right.num_rows()) * Matches::ROW_BYTES) as u64)?;
        let matches = Matches::new((left, left_key), (right, right_key), spec.kind);
        memory.grow(matches.num_pairs().saturating_mul(pair_bytes(&schema) as u64))?;
        let mut table = JoinedTable {
            matches,
            schema,
            num_left: left.schema().len(),
            right_columns,
            left_key,
            right_key,
            cells,
            slots: HashMap::default(),
            free: Vec::new(),
            num_slots: 0,
            pairs,
            order: OrderTree::default(),
            num_ports: 0,
            version: 0,
            snapshot: left.clone(),
        };
        let pairs = table.matches.all();
        let inserted = table.add(&pairs);
        table.write(&inserted, &pairs);
        table.end_step();
        Ok(table)
    }

    pub(super) fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    /// Allocates a port. Writes through it are refused.
    pub(super) fn make_port(&mut self) -> u32 {
        self.num_ports += 1;
        self.num_ports
    }

    pub(super) fn memory(&self) -> usize {
        let slots = self.slots.capacity() * (size_of::<Pair>() + size_of::<u32>() + 1);
        self.cells.memory()
            + slots
            + self.pairs.lefts.memory()
            + self.pairs.rights.memory()
            + self.matches.memory()
    }

    /// Applies a delta of one source. Always returns a delta, so that the join's version advances with every batch
    /// of its sources.
    ///
    /// # Errors
    ///
    /// The account refuses the memory of the pairs that the batch adds. The join is then half-changed and must be dropped.
    pub(super) fn follow(
        &mut self,
        side: JoinSide,
        delta: &TableDelta,
        context: &EngineContext,
    ) -> Result<TableDelta> {
        let mut memory = context.memory.nothing(MemoryKind::Joins);
        let PairChanges { removed: removed_pairs, added, changed } =
            self.matches.step(side, delta, pair_bytes(&self.schema), &mut memory)?;
        let removed = self.remove(&removed_pairs);
        match side {
            JoinSide::Left => self.pairs.left = delta.new.clone(),
            JoinSide::Right => self.pairs.right = delta.new.clone(),
        }
        let inserted = self.add(&added);
        self.write(&inserted, &added);
        let updated: Vec<u32> = changed.iter().filter_map(|pair| self.slots.get(pair).copied()).collect();
        self.write(&updated, &changed);
        let old = self.snapshot.clone();
        self.version += 1;
        self.end_step();
        let mut delta = TableDelta {
            old,
            new: self.snapshot.clone(),
            port_id: 0,
            inserted,
            updated,
            removed,
            recomputed: Vec::new(),
            removed_keys: None,
        };
        for slots in [&mut delta.inserted, &mut delta.updated, &mut delta.removed] {
            slots.sort_unstable();
        }
        Ok(delta)
    }

    /// Removes rows. The sources must still be those by which the rows were ordered.
    fn remove(&mut self, pairs: &[Pair]) -> Vec<u32> {
        let removed: Vec<u32> = pairs.iter().filter_map(|pair| self.slots.remove(pair)).collect();
        let pairs = &self.pairs;
        self.order.remove_many(&removed, &|one, other| pairs.compare(one, other));
        self.cells.clear(&removed);
        for &slot in &removed {
            self.pairs.lefts.set(slot, None);
            self.pairs.rights.set(slot, None);
        }
        self.free.extend_from_slice(&removed);
        removed
    }

    fn add(&mut self, added: &[Pair]) -> Vec<u32> {
        let mut inserted = Vec::with_capacity(added.len());
        for pair in added {
            let slot = self.free.pop().unwrap_or_else(|| {
                self.num_slots += 1;
                self.num_slots - 1
            });
            self.slots.insert(*pair, slot);
            self.pairs.lefts.set(slot, pair.left);
            self.pairs.rights.set(slot, pair.right);
            inserted.push(slot);
        }
        let pairs = &self.pairs;
        self.order.insert_many(inserted.clone(), &|one, other| pairs.compare(one, other));
        inserted
    }

    /// Copies the cells of `pairs` from the sources to `slots`.
    fn write(&mut self, slots: &[u32], pairs: &[Pair]) {
        if slots.is_empty() {
            return;
        }
        let (left, right) = (self.pairs.left.clone(), self.pairs.right.clone());
        for column in 0..self.num_left {
            let values = left.column(column).gather_optional(pairs.len(), |row| pairs[row].left);
            self.write_column(column, &values, slots);
        }
        for (offset, &column) in self.right_columns.clone().iter().enumerate() {
            let values = right.column(column).gather_optional(pairs.len(), |row| pairs[row].right);
            self.write_column(self.num_left + offset, &values, slots);
        }
        // Right rows without a match take the key column from their own side.
        let is_unmatched = |&(_, pair): &(&u32, &Pair)| pair.left.is_none();
        let (key_slots, key_rows): (Vec<u32>, Vec<Option<u32>>) =
            slots.iter().zip(pairs).filter(is_unmatched).map(|(&slot, pair)| (slot, pair.right)).unzip();
        if !key_slots.is_empty() {
            let values = right.column(self.right_key).gather_optional(key_rows.len(), |row| key_rows[row]);
            let storage = self.schema.field(self.left_key).storage;
            let values = cast_key(values, right.schema().field(self.right_key).storage, storage);
            self.write_column(self.left_key, &values, &key_slots);
        }
    }

    fn write_column(&mut self, column: usize, values: &ArrayRef, slots: &[u32]) {
        let writes = Writes { slots: Slots::List(slots), skip: None, first_row: 0 };
        self.cells.write(column, values, writes);
    }

    fn end_step(&mut self) {
        self.cells.end_batch();
        self.snapshot = Snapshot::new(SnapshotData {
            version: self.version,
            schema: self.schema.clone(),
            columns: self.cells.as_slice().to_vec(),
            keys: RowKeys::Pairs(Arc::new(self.pairs.clone())),
            order: KeyOrder::Tree(self.order.clone()),
            base: None,
            _cells_of: None,
            _epoch: self.cells.epoch().clone(),
            _computed_epoch: None,
        });
    }
}

/// Bytes of a joined row, without texts that its columns do not share with each other.
fn pair_bytes(schema: &Schema) -> usize {
    let cells: usize = schema.fields().iter().map(|field| Column::bytes_of(field.storage)).sum();
    PAIR_BYTES + cells
}

/// Casts keys of one type that are stored in different widths; values out of range become null.
fn cast_key(values: ArrayRef, from: Storage, to: Storage) -> ArrayRef {
    if from == to {
        return values;
    }
    arrow::compute::cast(&values, &to.arrow()).expect("numbers of one column type cast into each other")
}
