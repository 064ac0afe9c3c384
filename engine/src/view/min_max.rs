//! The range of a column, for colour scales and axes.
//!
//! Invariant: null and NaN are ignored; without any other value both ends are null.
//!
//! Cost: views of rows scan once for the first request of a column; from the second on, O(log n), and O(log n) per
//! changed row.

use super::Handle;
use super::filter::Filter;
use super::flat::Flat;
use super::grouped::Grouped;
use super::slice::is_flat_mode;
use crate::aggregate::{MANY_ROWS, canonical};
use crate::error::{ConfigError, EngineError, Result};
use crate::parallel::Threads;
use crate::query::normalized_key::NormalizedKey;
use crate::query::radix_sort;
use crate::query::sort::{Direction, RowComparator, RowOrder};
use crate::sorted::OrderTree;
use crate::storage::Snapshot;
use crate::storage::TableDelta;
use crate::types::scalar::Scalar;

/// The rows of a flat view by value, for the columns whose range was requested. The order of a column is built on the
/// second request; `None` marks the first.
#[derive(Debug, Clone, Default)]
pub(super) struct Ranges(Vec<(usize, Option<OrderTree>)>);

fn order_by(column: usize) -> RowOrder {
    RowOrder { terms: vec![(column, Direction::Ascending)] }
}

impl Ranges {
    /// Advances by one delta: removes and inserts rows that left, entered or changed their value.
    pub(super) fn step(&mut self, delta: &TableDelta, filter: &Filter) {
        for (column, rows) in &mut self.0 {
            let Some(rows) = rows else { continue };
            let order = order_by(*column);
            let kept = |snapshot: &Snapshot, slots: &[u32]| -> Vec<u32> {
                slots.iter().copied().filter(|&slot| filter.keeps(snapshot, slot)).collect()
            };
            let mut leaving = kept(&delta.old, &delta.removed);
            let mut arriving = kept(&delta.new, &delta.inserted);
            for slot in delta.changed() {
                let (was, is) = (filter.keeps(&delta.old, slot), filter.keeps(&delta.new, slot));
                let moves = was != is || delta.is_changed(*column, slot);
                if was && moves {
                    leaving.push(slot);
                }
                if is && moves {
                    arriving.push(slot);
                }
            }
            let normalized_key = NormalizedKey::default();
            rows.remove_many(&leaving, &RowComparator::new(&order, &delta.old, &normalized_key));
            rows.insert_many(arriving, &RowComparator::new(&order, &delta.new, &normalized_key));
        }
    }
}

/// Returns the range of any column of the table, over the rows that pass the filter.
pub(super) fn of_rows(view: &mut Flat, name: &str) -> Result<(Scalar, Scalar)> {
    let column = view.plan.schema.index_of(name).ok_or_else(|| unknown(name))?;
    let cells = view.snapshot.column(column);
    let is_number = |slot: u32| cells.is_valid(slot) && !cells.number(slot).is_some_and(f64::is_nan);
    let ends = |ends: Option<(u32, u32)>| match ends {
        Some((least, greatest)) => (canonical(cells.scalar(least)), canonical(cells.scalar(greatest))),
        None => Default::default(),
    };
    let known = view.ranges.0.iter().position(|(kept, _)| *kept == column);
    if known.is_none() || view.len() < MANY_ROWS as usize {
        if known.is_none() {
            view.ranges.0.push((column, None));
        }
        let mut found: Option<(u32, u32)> = None;
        for slot in view.slots(0, view.len()).into_iter().filter(|&slot| is_number(slot)) {
            found = Some(match found {
                None => (slot, slot),
                Some((least, greatest)) => (
                    if cells.compare(slot, least).is_lt() { slot } else { least },
                    if cells.compare(slot, greatest).is_gt() { slot } else { greatest },
                ),
            });
        }
        return Ok(ends(found));
    }
    let (filter, snapshot) = (&view.plan.filter, &view.snapshot);
    let kept = known.map_or(0, |known| known);
    let rows = view.ranges.0[kept].1.get_or_insert_with(|| {
        let rows = filter.select(snapshot, Threads::ONE);
        let order = order_by(column);
        let sorted = radix_sort::sort(&rows, &order, snapshot, Threads::ONE);
        OrderTree::from_ordered(&sorted, &RowComparator::new(&order, snapshot, &NormalizedKey::default()))
    });
    // Nulls and NaNs come first.
    let first = rows.partition_point(|slot| !is_number(slot));
    Ok(ends(rows.get(first).zip(rows.get(rows.len().saturating_sub(1))).filter(|_| first < rows.len())))
}

/// Returns the range of a shown or sort column over all blocks of the deepest visible rows; the total is excluded.
pub(super) fn of_groups(view: &mut Grouped, handle: &mut Handle, name: &str) -> Result<(Scalar, Scalar)> {
    let plan = view.plan.clone();
    let aggregate =
        plan.aggregates.iter().position(|aggregate| *aggregate.name == *name).ok_or_else(|| unknown(name))?;
    let num_rows = handle.num_visible(view);
    let rows = handle.row_range(view, 0, num_rows);
    let deepest = rows.iter().map(|&node| view.rows.node(node).depth).max().unwrap_or(0);
    let blocks = view.blocks();
    let mut range = Range::default();
    if deepest > 0 || is_flat_mode(view) {
        for &node in rows.iter().filter(|&&node| view.rows.node(node).depth == deepest).collect::<Vec<_>>() {
            for &block in blocks.iter() {
                range.add(view.value(aggregate, node, block));
            }
        }
    }
    Ok(range.ends())
}

fn unknown(name: &str) -> EngineError {
    ConfigError::RangeColumn { column: name.to_owned() }.into()
}

#[derive(Default)]
struct Range {
    ends: Option<(Scalar, Scalar)>,
}

impl Range {
    fn add(&mut self, value: Scalar) {
        if value.is_null() || matches!(value, Scalar::Float(value) if value.is_nan()) {
            return;
        }
        match &mut self.ends {
            None => self.ends = Some((value.clone(), value)),
            Some((least, _)) if value < *least => *least = value,
            Some((_, greatest)) if value > *greatest => *greatest = value,
            Some(_) => {}
        }
    }

    fn ends(self) -> (Scalar, Scalar) {
        self.ends.unwrap_or_default()
    }
}
