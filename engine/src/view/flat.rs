//! The flat view: a sorted and filtered sequence of rows.
//!
//! Cost: an unsorted, unfiltered view uses the table's own order and holds no state; others hold counted trees of slots
//! and move only the rows of the delta, in O(log n) each.

use std::ops::Range;
use std::sync::Arc;

use super::min_max::Ranges;
use super::plan::Plan;
use super::slot_bitmap::SlotBitmap;
use crate::memory::{MemoryRefused, MemoryReservation};
use crate::parallel::Threads;
use crate::query::normalized_key::NormalizedKey;
use crate::query::sort::RowComparator;
use crate::sorted::{Leaves, StagedOrder};
use crate::storage::Snapshot;
use crate::storage::TableDelta;

/// Bytes of a row in the order of a view that is filtered only, its bit included.
const FILTERED_ROW_BYTES: u64 = 6;
/// Bytes of a row in the order of a sorted view: its slot and its normalized key, with the inner nodes.
const SORTED_ROW_BYTES: u64 = 14;
/// Bytes that a row takes while it is sorted: packed keys and positions, then its slot beside its normalized key.
const SORT_BYTES: u64 = 28;
/// Bytes that a row takes for each sort column meanwhile.
const KEY_BYTES: u64 = 8;

#[derive(Debug, Clone)]
pub(super) struct Flat {
    pub(super) plan: Arc<Plan>,
    pub(super) snapshot: Snapshot,
    /// `None` if the view uses the table's order.
    order: Option<StagedOrder>,
    /// The row set of the view; empty for an unfiltered view, which has all rows.
    row_set: SlotBitmap,
    /// Computes the sort key prefixes that the order stores; chosen when the order is built.
    normalized_key: Arc<NormalizedKey>,
    pub(super) ranges: Ranges,
}

impl Flat {
    /// Builds the view and reserves what it takes.
    ///
    /// # Errors
    ///
    /// The account refuses.
    pub(super) fn build(
        plan: Arc<Plan>,
        snapshot: &Snapshot,
        threads: Threads,
        memory: &mut MemoryReservation,
    ) -> Result<Flat, MemoryRefused> {
        let is_plain = plan.filter.is_empty() && plan.row_order.terms.is_empty();
        let mut view = Flat {
            plan,
            snapshot: snapshot.clone(),
            order: None,
            row_set: SlotBitmap::default(),
            normalized_key: Arc::default(),
            ranges: Ranges::default(),
        };
        if !is_plain {
            let before = memory.bytes();
            let kept = view.plan.filter.select_within(snapshot, threads, memory)?;
            let num_rows = kept.len() as u64;
            let has_sort = !view.plan.row_order.terms.is_empty();
            let num_keys = view.plan.row_order.terms.len() as u64;
            let passing = if has_sort { SORT_BYTES + KEY_BYTES * num_keys } else { 0 };
            let lasting = if has_sort { SORTED_ROW_BYTES } else { FILTERED_ROW_BYTES };
            memory.grow(num_rows * (passing + lasting))?;
            if !view.plan.filter.is_empty() {
                view.row_set = SlotBitmap::new(&kept);
            }
            view.put_in_order(&kept, threads);
            memory.shrink_to(before + num_rows * lasting);
        }
        Ok(view)
    }

    /// Rebuilds the order from `kept`, which is in key order.
    fn put_in_order(&mut self, kept: &[u32], threads: Threads) {
        let (order, snapshot) = (&self.plan.row_order, &self.snapshot);
        if order.terms.is_empty() {
            let order = RowComparator::new(order, snapshot, &self.normalized_key);
            let leaves = |part: Range<usize>| Leaves::ordered(&kept[part], &order);
            self.order = Some(StagedOrder::from_leaves(threads.parts(kept.len(), 1, leaves)));
            return;
        }
        let rows = crate::query::radix_sort::sort_rows(kept, order, snapshot, threads);
        let normalized_key = NormalizedKey::new(order, snapshot, rows.len(), |at| kept[rows[at] as usize]);
        // In key order, which is close to the order of the cells in memory.
        let with_prefixes = |part: Range<usize>| -> Vec<(u32, u64)> {
            kept[part.clone()]
                .iter()
                .copied()
                .zip(normalized_key.sort_key_prefixes(order, snapshot, &kept[part]))
                .collect()
        };
        let with_prefixes = crate::query::concatenated(threads.parts(kept.len(), 1, with_prefixes));
        let leaves =
            |part: Range<usize>| Leaves::with_prefixes(&rows[part], |&row| with_prefixes[row as usize]);
        self.order = Some(StagedOrder::from_leaves(threads.parts(rows.len(), 1, leaves)));
        self.normalized_key = Arc::new(normalized_key);
    }

    /// Advances by one delta. Returns the rows of the view whose key occurred in the batch, and those outside the batch
    /// of which a displayed or filtered value changed.
    pub(super) fn step(&mut self, delta: &TableDelta) -> Vec<u32> {
        self.snapshot = delta.new.clone();
        let plan = self.plan.clone();
        let filter = &plan.filter;
        self.ranges.step(delta, filter);
        delta.prefetch(plan.row_order.terms.iter().map(|&(column, _)| column));
        filter.columns().for_each(|column| delta.new.column(column).touch_all(&delta.updated));
        let keeps = |&slot: &u32| filter.keeps(&delta.new, slot);
        let changed: Vec<(u32, bool)> = delta.changed().map(|slot| (slot, keeps(&slot))).collect();
        let mut arriving: Vec<u32> = delta.inserted.iter().copied().filter(keeps).collect();
        // A row outside the batch is reported only if a column that the view shows, sorts or filters by changed.
        let row_inputs: Vec<usize> = if delta.recomputed.is_empty() { Vec::new() } else { plan.row_inputs() };
        let has_changed_input = |slot: u32| row_inputs.iter().any(|&column| delta.is_changed(column, slot));
        let mut touched = arriving.clone();
        for (at, &(slot, is_kept)) in changed.iter().enumerate() {
            if is_kept && (at < delta.updated.len() || has_changed_input(slot)) {
                touched.push(slot);
            }
        }
        touched.sort_unstable();
        let Some(order) = &mut self.order else { return touched };
        let sorts =
            |slot: u32| plan.row_order.terms.iter().any(|&(column, _)| delta.is_changed(column, slot));
        let has_all = filter.is_empty();
        let row_set = &mut self.row_set;
        let mut leaving: Vec<u32> =
            delta.removed.iter().copied().filter(|&slot| has_all || row_set.contains(slot)).collect();
        for &(slot, is) in &changed {
            let was = has_all || row_set.contains(slot);
            let moves = was != is || sorts(slot);
            if was && moves {
                leaving.push(slot);
            }
            if is && moves {
                arriving.push(slot);
            }
        }
        if !has_all {
            leaving.iter().for_each(|&slot| row_set.set(slot, false));
            arriving.iter().for_each(|&slot| row_set.set(slot, true));
        }
        if order.is_empty() {
            // The normalized key is chosen from the first rows.
            arriving.sort_by(|&left, &right| delta.new.compare_keys(left, right));
            self.put_in_order(&arriving, Threads::ONE);
            return touched;
        }
        let before = RowComparator::new(&plan.row_order, &delta.old, &self.normalized_key);
        let after = RowComparator::new(&plan.row_order, &delta.new, &self.normalized_key);
        order.step(&leaving, &before, arriving, &after);
        touched
    }

    /// Bytes of the order and the row set, about. Cost: O(1).
    pub(super) fn kept_bytes(&self) -> usize {
        let Some(order) = &self.order else { return 0 };
        let row_bytes = match self.plan.row_order.terms.is_empty() {
            true => FILTERED_ROW_BYTES,
            false => SORTED_ROW_BYTES,
        };
        order.len() * row_bytes as usize + order.staged_bytes() + self.row_set.memory()
    }

    pub(super) fn len(&self) -> usize {
        self.order.as_ref().map_or(self.snapshot.num_rows(), StagedOrder::len)
    }

    /// Returns the slots of the rows `start..end`.
    pub(super) fn slots(&self, start: usize, end: usize) -> Vec<u32> {
        let len = end.saturating_sub(start);
        match &self.order {
            Some(order) => order.iter_from(start, &self.rows()).take(len).collect(),
            None => self.snapshot.order().iter_from(start).take(len).collect(),
        }
    }

    /// Retains the slots that are rows of the view and sorts them in its order.
    pub(super) fn in_order(&self, mut slots: Vec<u32>) -> Vec<u32> {
        slots.retain(|&slot| self.contains(slot));
        slots.sort_by(|&left, &right| self.plan.row_order.compare(&self.snapshot, left, right));
        slots
    }

    fn contains(&self, slot: u32) -> bool {
        match &self.order {
            Some(_) if !self.plan.filter.is_empty() => self.row_set.contains(slot),
            Some(order) => order.contains(slot, &self.rows()),
            None => true,
        }
    }

    fn rows(&self) -> RowComparator<'_> {
        RowComparator::new(&self.plan.row_order, &self.snapshot, &self.normalized_key)
    }
}
