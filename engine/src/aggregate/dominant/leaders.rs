//! The most frequent value of a cell's rows.
//!
//! Cost: inserting or removing a row takes O(log n).
//!
//! Invariant: among equally frequent values, the one that reached its count first in row order leads, that is, the one
//! whose last row comes first. So each value is represented by its last row, and values are ordered by count, then by
//! that row.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use hashbrown::HashMap;

use crate::aggregate::CellRowOrder;
use crate::sorted::OrderTree;
use crate::storage::Snapshot;

#[derive(Debug)]
pub(super) struct Leaders {
    column: usize,
    row_order: CellRowOrder,
    /// Rows with a value, sorted by value bits (an arbitrary order), then in row order.
    rows: OrderTree,
    /// By value: the number of rows with it, and the last of them.
    counts: HashMap<u64, (u32, u32), ahash::RandomState>,
    /// By count: the last rows of the values with that count, in row order.
    leaders: BTreeMap<u32, OrderTree>,
}

impl Leaders {
    /// Builds the structure from rows in row order.
    pub(super) fn new(column: usize, row_order: CellRowOrder, snapshot: &Snapshot, rows: &[u32]) -> Leaders {
        let cells = snapshot.column(column);
        let mut counts: HashMap<u64, (u32, u32), ahash::RandomState> = HashMap::default();
        let mut valued: Vec<(u64, u32)> = Vec::with_capacity(rows.len());
        // Until the end of the function, last rows are positions in `rows`.
        for (place, &slot) in (0..).zip(rows) {
            let Some(bits) = cells.bits(slot) else { continue };
            let (count, last) = counts.entry(bits).or_insert((0, 0));
            (*count, *last) = (*count + 1, place);
            valued.push((bits, slot));
        }
        valued.sort_by_key(|&(bits, _)| bits);
        let mut by_count: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
        counts.values().for_each(|&(count, last)| by_count.entry(count).or_default().push(last));
        let leaders = by_count.into_iter().map(|(count, mut places)| {
            places.sort_unstable();
            (count, OrderTree::from_sorted(places.into_iter().map(|place| rows[place as usize])))
        });
        let leaders = leaders.collect();
        counts.values_mut().for_each(|(_, last)| *last = rows[*last as usize]);
        Leaders {
            column,
            row_order,
            rows: OrderTree::from_sorted(valued.into_iter().map(|(_, slot)| slot)),
            counts,
            leaders,
        }
    }

    pub(super) fn insert(&mut self, snapshot: &Snapshot, slot: u32) {
        let Some(bits) = snapshot.column(self.column).bits(slot) else { return };
        let mut rows = std::mem::take(&mut self.rows);
        rows.insert(slot, &|left, right| self.by_value(snapshot, left, right));
        self.rows = rows;
        let now = match self.counts.get(&bits).copied() {
            None => (1, slot),
            Some((count, last)) => {
                self.dethrone(snapshot, count, last);
                let is_later = self.row_order.compare(snapshot, last, slot).is_lt();
                (count + 1, if is_later { slot } else { last })
            }
        };
        self.counts.insert(bits, now);
        self.enthrone(snapshot, now.0, now.1);
    }

    pub(super) fn remove(&mut self, snapshot: &Snapshot, slot: u32) {
        let Some(bits) = snapshot.column(self.column).bits(slot) else { return };
        let (count, last) = self.counts.get(&bits).copied().expect("a removed row was counted");
        self.dethrone(snapshot, count, last);
        let position = self.rows.partition_point(|other| self.by_value(snapshot, other, slot).is_lt());
        let mut rows = std::mem::take(&mut self.rows);
        let was_there = rows.remove(slot, &|left, right| self.by_value(snapshot, left, right));
        assert!(was_there, "a removed row was in its cell");
        self.rows = rows;
        if count == 1 {
            self.counts.remove(&bits);
            return;
        }
        let before = || self.rows.get(position - 1).expect("another row with the value precedes it");
        let last = if slot == last { before() } else { last };
        self.counts.insert(bits, (count - 1, last));
        self.enthrone(snapshot, count - 1, last);
    }

    /// Returns the row with which the most frequent value reached its count.
    pub(super) fn first(&self) -> Option<u32> {
        self.leaders.last_key_value()?.1.get(0)
    }

    fn by_value(&self, snapshot: &Snapshot, left: u32, right: u32) -> Ordering {
        let cells = snapshot.column(self.column);
        cells.bits(left).cmp(&cells.bits(right)).then_with(|| self.row_order.compare(snapshot, left, right))
    }

    /// Removes a value's last row from those with the same count.
    fn dethrone(&mut self, snapshot: &Snapshot, count: u32, last: u32) {
        let row_order = &self.row_order;
        let leaders = self.leaders.get_mut(&count).expect("every value that occurs is among the leaders");
        let was_there = leaders.remove(last, &|left, right| row_order.compare(snapshot, left, right));
        assert!(was_there, "every value that occurs is among the leaders");
        if leaders.is_empty() {
            self.leaders.remove(&count);
        }
    }

    fn enthrone(&mut self, snapshot: &Snapshot, count: u32, last: u32) {
        let row_order = &self.row_order;
        let leaders = self.leaders.entry(count).or_default();
        leaders.insert(last, &|left, right| row_order.compare(snapshot, left, right));
    }
}
