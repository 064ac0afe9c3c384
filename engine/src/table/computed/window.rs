//! A window column that is updated incrementally: the rows of each partition in order.
//!
//! Cost: a batch recomputes, in the partitions of its rows, the rows whose frame it affects: few for `lag`, `lead`,
//! `diff` and short frames of rows, otherwise all from the first affected row on. Running values have checkpoints,
//! so that rows appended at the end cost no more than the distance from the last checkpoint. Frames of a range and
//! long frames of rows cost a pass over the partition.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, Int64Array};

use super::frame::{Blocks, Frame};
use crate::column::Column;
use crate::config::WindowFrame;
use crate::interrupt::checkpoint;
use crate::sorted::OrderTree;
use crate::storage::Snapshot;
use crate::storage::TableDelta;
use crate::types::scalar::MS_PER_DAY;
use crate::types::schema::Storage;
use crate::window::{Op, Window};

/// Rows between two checkpoints of a running value.
const MARK_ROWS: usize = 1024;
/// Frames of at most that many rows are folded for each row, so that a change affects only nearby rows.
const SHORT_ROWS: usize = 256;

#[derive(Debug)]
pub(super) struct WindowColumn {
    window: Window,
    /// Position of the source among the table's and computed columns.
    source: usize,
    partitions: BTreeMap<Key, Partition>,
}

/// The bits of the partition columns.
type Key = Vec<Option<u64>>;

#[derive(Debug, Default)]
struct Partition {
    rows: OrderTree,
    /// Checkpoints: the running frame before each `MARK_ROWS`th row.
    marks: Vec<Frame>,
}

/// New cells: slots, and a value for each.
#[derive(Debug)]
pub(super) struct WindowCells {
    pub(super) slots: Vec<u32>,
    values: WindowValues,
}

#[derive(Debug)]
enum WindowValues {
    Floats(Vec<Option<f64>>),
    Integers(Vec<i64>),
    /// Slots from whose source cell the value is taken.
    Slots(Vec<Option<u32>>),
}

impl WindowCells {
    fn new(op: Op) -> WindowCells {
        let values = match op {
            Op::Min | Op::Max | Op::Lag(_) | Op::Lead(_) => WindowValues::Slots(Vec::new()),
            Op::Count | Op::RowNumber => WindowValues::Integers(Vec::new()),
            Op::Sum | Op::Avg | Op::Stddev | Op::Var | Op::Diff(_) | Op::Rate | Op::Ema(_) => {
                WindowValues::Floats(Vec::new())
            }
        };
        WindowCells { slots: Vec::new(), values }
    }

    fn push(&mut self, slot: u32, frame: &Frame, op: Op) {
        self.slots.push(slot);
        match &mut self.values {
            WindowValues::Floats(values) => values.push(frame.value(op)),
            WindowValues::Integers(values) => values.push(frame.count as i64),
            WindowValues::Slots(values) => values.push(frame.best),
        }
    }

    fn push_float(&mut self, slot: u32, value: Option<f64>) {
        if let WindowValues::Floats(values) = &mut self.values {
            self.slots.push(slot);
            values.push(value);
        }
    }

    /// The slots whose cell differs from that in `column`, and their values.
    pub(super) fn changed(&self, column: &Column, source: &Column) -> (Vec<u32>, ArrayRef) {
        let changed: Vec<usize> =
            (0..self.slots.len()).filter(|&row| !self.is_same(row, column, source)).collect();
        let slots = changed.iter().map(|&row| self.slots[row]).collect();
        let values: ArrayRef = match &self.values {
            WindowValues::Floats(values) => {
                Arc::new(changed.iter().map(|&row| values[row]).collect::<Float64Array>())
            }
            WindowValues::Integers(values) => {
                Arc::new(Int64Array::from_iter_values(changed.iter().map(|&row| values[row])))
            }
            WindowValues::Slots(places) => source.gather_optional(changed.len(), |row| places[changed[row]]),
        };
        (slots, values)
    }

    fn is_same(&self, row: usize, column: &Column, source: &Column) -> bool {
        let slot = self.slots[row];
        match &self.values {
            // Bitwise, because zeros have signs.
            WindowValues::Floats(values) => {
                column.number(slot).map(f64::to_bits) == values[row].map(f64::to_bits)
            }
            WindowValues::Integers(values) => column.bits(slot) == Some(values[row] as u64),
            WindowValues::Slots(places) => match (column, places[row]) {
                (Column::Str(..), place) => column.text(slot) == place.and_then(|place| source.text(place)),
                (Column::Float32(_) | Column::Float64(_), place) => {
                    let value = place.and_then(|place| source.number(place));
                    column.number(slot).map(f64::to_bits) == value.map(f64::to_bits)
                }
                (_, place) => column.bits(slot) == place.and_then(|place| source.bits(place)),
            },
        }
    }
}

/// The rows that a batch removes from and inserts into one partition.
#[derive(Debug, Default)]
struct Touched {
    removed: Vec<u32>,
    inserted: Vec<u32>,
}

impl WindowColumn {
    /// Builds the column and the cells of all rows. `source` is its position among the columns of `snapshot`.
    /// Bytes that a row takes in the state, about: its place in the order of its partition, and its share of the marks.
    pub(super) const ROW_BYTES: usize = 12;
    /// Bytes that a row takes while the column is computed: its slot, its cell, and the cell in Arrow.
    pub(super) const BUILD_BYTES: usize = 48;

    pub(super) fn build(window: Window, source: usize, snapshot: &Snapshot) -> (WindowColumn, WindowCells) {
        let mut column = WindowColumn { window, source, partitions: BTreeMap::new() };
        let mut rows_of: BTreeMap<Key, Vec<u32>> = BTreeMap::new();
        for slot in snapshot.order().iter_from(0) {
            rows_of.entry(column.key(snapshot, slot)).or_default().push(slot);
        }
        let mut cells = WindowCells::new(column.window.op);
        for (key, mut slots) in rows_of {
            checkpoint();
            if column.window.order_by.is_some() {
                slots.sort_by(|&left, &right| compare(&column.window, snapshot, left, right));
            }
            let mut partition = Partition { rows: OrderTree::from_sorted(slots), marks: Vec::new() };
            column.compute(&mut partition, 0, 0, snapshot, &mut cells);
            column.partitions.insert(key, partition);
        }
        (column, cells)
    }

    /// Applies a batch and returns the cells that may have changed. `recomputed` are rows outside the batch whose
    /// computed cells may have changed.
    pub(super) fn step(
        &mut self,
        delta: &TableDelta,
        old: &Snapshot,
        new: &Snapshot,
        recomputed: &BTreeSet<u32>,
    ) -> WindowCells {
        let mut touched: BTreeMap<Key, Touched> = BTreeMap::new();
        let inputs: Vec<usize> = self.inputs().collect();
        let is_touched = |slot: u32| {
            inputs.iter().any(|&column| old.column(column).bits(slot) != new.column(column).bits(slot))
        };
        let moved: Vec<u32> = delta
            .updated
            .iter()
            .copied()
            .chain(recomputed.iter().copied())
            .filter(|&slot| is_touched(slot))
            .collect();
        for &slot in delta.removed.iter().chain(&moved) {
            touched.entry(self.key(old, slot)).or_default().removed.push(slot);
        }
        for &slot in delta.inserted.iter().chain(&moved) {
            touched.entry(self.key(new, slot)).or_default().inserted.push(slot);
        }
        let mut cells = WindowCells::new(self.window.op);
        for (key, Touched { removed, inserted }) in touched {
            let mut partition = self.partitions.remove(&key).unwrap_or_default();
            // Rows before and after all affected ones are unchanged.
            let (mut before, mut behind) = (usize::MAX, usize::MAX);
            let mut widen = |rows: &OrderTree, slots: &[u32], snapshot: &Snapshot| {
                for &slot in slots {
                    let by = |left, right| compare(&self.window, snapshot, left, right);
                    let rank = rows.rank(slot, &by).expect("a row is in the partition of its values");
                    before = before.min(rank);
                    behind = behind.min(rows.len() - 1 - rank);
                }
            };
            widen(&partition.rows, &removed, old);
            let by_old = |left, right| compare(&self.window, old, left, right);
            let by_new = |left, right| compare(&self.window, new, left, right);
            partition.rows.remove_many(&removed, &by_old);
            partition.rows.insert_many(inserted.clone(), &by_new);
            widen(&partition.rows, &inserted, new);
            self.compute(&mut partition, before, behind, new, &mut cells);
            if !partition.rows.is_empty() {
                self.partitions.insert(key, partition);
            }
        }
        cells
    }

    pub(super) fn source(&self) -> usize {
        self.source
    }

    fn inputs(&self) -> impl Iterator<Item = usize> {
        let order_by = self.window.order_by.map(|(column, _)| column);
        self.window.partition_by.iter().copied().chain(order_by).chain([self.source])
    }

    fn key(&self, snapshot: &Snapshot, slot: u32) -> Key {
        self.window.partition_by.iter().map(|&column| snapshot.column(column).bits(slot)).collect()
    }

    /// Computes all rows but the first `before` and the last `behind`, and those whose frame reaches into these.
    fn compute(
        &self,
        partition: &mut Partition,
        before: usize,
        behind: usize,
        snapshot: &Snapshot,
        cells: &mut WindowCells,
    ) {
        let len = partition.rows.len();
        let (start, end) = (before.min(len), len - behind.min(len));
        let source = snapshot.column(self.source);
        match (self.window.op, self.window.frame) {
            (Op::Lag(offset) | Op::Diff(offset), _) => {
                let rows = start..end.saturating_add(offset).min(len);
                self.shift(&partition.rows, rows, -(offset as i64), source, cells);
            }
            (Op::Lead(offset), _) => {
                self.shift(&partition.rows, start.saturating_sub(offset)..end, offset as i64, source, cells);
            }
            (Op::RowNumber, _) => {
                for (position, slot) in (start..).zip(partition.rows.iter_from(start)) {
                    cells.push(slot, &Frame::of_count(position as u64 + 1), Op::RowNumber);
                }
            }
            (op, WindowFrame::Cumulative) => partition.run(op, start, source, cells),
            (op, WindowFrame::Rows(num_rows)) if num_rows as usize <= SHORT_ROWS => {
                let reach = num_rows as usize;
                let base = start.saturating_sub(reach);
                let end = (end + reach).min(len);
                let slots: Vec<u32> = partition.rows.iter_from(base).take(end.saturating_sub(base)).collect();
                for position in start..end {
                    let mut frame = Frame::default();
                    for &slot in &slots[position.saturating_sub(reach).max(base) - base..=position - base] {
                        frame.add(op, source, slot);
                    }
                    cells.push(slots[position - base], &frame, op);
                }
            }
            (op, WindowFrame::Rows(num_rows)) => {
                let slots: Vec<u32> = partition.rows.iter().collect();
                let blocks = Blocks::new(op, source, &slots);
                for (position, &slot) in slots.iter().enumerate().skip(start) {
                    let first = position.saturating_sub(num_rows as usize);
                    cells.push(slot, &blocks.frame(first, position + 1), op);
                }
            }
            (op, WindowFrame::Range(distance)) => {
                self.range(&partition.rows, start, distance, op, snapshot, cells);
            }
        }
    }

    /// Computes `lag`, `lead` and `diff`.
    fn shift(&self, tree: &OrderTree, rows: Range<usize>, by: i64, source: &Column, cells: &mut WindowCells) {
        if rows.is_empty() {
            return;
        }
        let back = if by < 0 { by.unsigned_abs() as usize } else { 0 };
        let ahead = if by > 0 { by as usize } else { 0 };
        let base = rows.start.saturating_sub(back);
        let end = rows.end.saturating_add(ahead).min(tree.len());
        let slots: Vec<u32> = tree.iter_from(base).take(end - base).collect();
        for position in rows {
            let other = position as i64 + by - base as i64;
            let other = usize::try_from(other).ok().and_then(|other| slots.get(other)).copied();
            let slot = slots[position - base];
            if matches!(self.window.op, Op::Diff(_)) {
                let before = other.and_then(|other| source.number(other));
                cells.push_float(slot, source.number(slot).zip(before).map(|(value, before)| value - before));
            } else {
                cells.push(slot, &Frame::of_row(other), self.window.op);
            }
        }
    }

    fn range(
        &self,
        tree: &OrderTree,
        start: usize,
        distance: f64,
        op: Op,
        snapshot: &Snapshot,
        cells: &mut WindowCells,
    ) {
        let Some((column, _)) = self.window.order_by else { return };
        let keys = snapshot.column(column);
        let unit = if keys.storage() == Storage::Date32 { MS_PER_DAY as f64 } else { 1.0 };
        let key = |slot: u32| keys.number(slot).map(|key| key / unit);
        let source = snapshot.column(self.source);
        let slots: Vec<u32> = tree.iter().collect();
        let blocks = (op != Op::Rate).then(|| Blocks::new(op, source, &slots));
        let mut first = 0;
        for position in 0..slots.len() {
            let slot = slots[position];
            let own = key(slot);
            let is_within = |first: usize| match (key(slots[first]), own) {
                (Some(key), Some(own)) => key == own || (own - key).abs() <= distance,
                (key, own) => key.is_none() && own.is_none(),
            };
            while first < position && !is_within(first) {
                first += 1;
            }
            if position < start {
                continue;
            }
            match &blocks {
                Some(blocks) => cells.push(slot, &blocks.frame(first, position + 1), op),
                None => {
                    let rate = source.number(slot).zip(source.number(slots[first])).and_then(|(to, from)| {
                        let passed = own? - key(slots[first])?;
                        (first < position && passed != 0.0).then(|| (to - from) / passed)
                    });
                    cells.push_float(slot, rate);
                }
            }
        }
    }
}

impl Partition {
    /// Computes running values from the row at `start` on.
    fn run(&mut self, op: Op, start: usize, source: &Column, cells: &mut WindowCells) {
        self.marks.truncate(start / MARK_ROWS + 1);
        if self.marks.is_empty() {
            self.marks.push(Frame::default());
        }
        let marked = (self.marks.len() - 1) * MARK_ROWS;
        let mut frame = self.marks[self.marks.len() - 1];
        for (position, slot) in (marked..).zip(self.rows.iter_from(marked)) {
            if position == self.marks.len() * MARK_ROWS {
                self.marks.push(frame);
            }
            frame.add(op, source, slot);
            if position >= start {
                cells.push(slot, &frame, op);
            }
        }
    }
}

/// Compares by the window's order column, nulls first in either direction, then by row key.
fn compare(window: &Window, snapshot: &Snapshot, left: u32, right: u32) -> Ordering {
    let by_column = window.order_by.map_or(Ordering::Equal, |(column, is_descending)| {
        let column = snapshot.column(column);
        let ordering = column.compare(left, right);
        let both = column.is_valid(left) && column.is_valid(right);
        if is_descending && both { ordering.reverse() } else { ordering }
    });
    by_column.then_with(|| snapshot.compare_keys(left, right))
}
