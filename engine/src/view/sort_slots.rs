//! Sorting all rows of a new view.
//!
//! Law: the same order as [`RowOrder::compare`], found with one pass a sort column: the first column's cells become
//! unsigned numbers that ascend with the order (text by its rank in the dictionary), so that the sort itself compares
//! numbers; only ties look at the other columns.

use super::sort::{Direction, RowOrder};
use crate::column::{Column, Strings};
use crate::table::Snapshot;

/// Sorts `slots`, which are in key order.
pub(super) fn sort(slots: &mut [u32], order: &RowOrder, snapshot: &Snapshot) {
    let Some(&(column, direction)) = order.terms.first() else { return };
    let rest = &order.terms[1..];
    let cells = snapshot.column(column);
    let mut keyed: Vec<(u64, u32, u32)> = numbers(cells, slots, direction)
        .into_iter()
        .zip(slots.iter())
        .zip(0..)
        .map(|((key, &slot), at)| (key, at, slot))
        .collect();
    if rest.is_empty() {
        // The position in key order settles ties, ascending in both directions.
        keyed.sort_unstable();
    } else {
        let rest = RowOrder { terms: rest.to_vec() };
        keyed.sort_unstable_by(|left, right| {
            left.0.cmp(&right.0).then_with(|| rest.compare(snapshot, left.2, right.2))
        });
    }
    for (slot, (_, _, sorted)) in slots.iter_mut().zip(keyed) {
        *slot = sorted;
    }
}

/// Numbers that ascend as the cells do under `direction`.
fn numbers(column: &Column, slots: &[u32], direction: Direction) -> Vec<u64> {
    let is_abs = matches!(direction, Direction::AscendingAbs | Direction::DescendingAbs);
    let is_descending = matches!(direction, Direction::Descending | Direction::DescendingAbs);
    let ranks = match column {
        Column::Str(_, strings) if !is_abs => ranks(strings),
        _ => Vec::new(),
    };
    let number = |slot: u32| -> u64 {
        if is_abs {
            return float_key(column.number(slot).unwrap_or(0.0).abs());
        }
        // 0 is NaN, 1 is null; values follow.
        match column {
            Column::Float32(cells) => cells.get(slot).map_or(1, |value| float_key(value.into())),
            Column::Float64(cells) => cells.get(slot).map_or(1, float_key),
            Column::Str(codes, _) => codes.get(slot).map_or(1, |code| u64::from(ranks[code as usize]) + 2),
            Column::UInt64(cells) => cells.get(slot).map_or(1, |value| value.saturating_add(2)),
            _ => column.bits(slot).map_or(1, |bits| (bits ^ (1 << 63)).saturating_add(2)),
        }
    };
    slots.iter().map(|&slot| if is_descending { !number(slot) } else { number(slot) }).collect()
}

/// A float as a number that ascends with it; NaN is 0, and nothing is 1.
fn float_key(value: f64) -> u64 {
    if value.is_nan() {
        return 0;
    }
    // Both zeros are one value.
    let bits = (value + 0.0).to_bits();
    let key = if bits >> 63 == 1 { !bits } else { bits | 1 << 63 };
    key.max(2)
}

/// The position of every code's text among all texts of the dictionary.
fn ranks(strings: &Strings) -> Vec<u32> {
    let mut codes: Vec<u32> = (0..strings.len() as u32).collect();
    codes.sort_unstable_by(|&left, &right| strings.compare(left, right));
    let mut ranks = vec![0; codes.len()];
    for (rank, &code) in codes.iter().enumerate() {
        ranks[code as usize] = rank as u32;
    }
    ranks
}
