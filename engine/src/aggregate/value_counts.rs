//! Number of occurrences of each value of a cell's rows, for aggregates that ask how many distinct ones there are.
//!
//! Cost: O(1) a row.

use hashbrown::HashMap;

use super::AggregateInput;
use crate::column::Column;
use crate::types::total_order::float_bits;

/// Maximum number of strings in the table per row of a cell for which occurrences are counted in an array.
const STRINGS_A_ROW: usize = 8;

#[derive(Debug)]
pub(super) enum ValueCounts {
    /// By code of a text column, at index `code + 1`; nulls are counted at index 0.
    Codes {
        counts: Vec<u32>,
        num_distinct: usize,
    },
    Values(HashMap<Option<u64>, u32, ahash::RandomState>),
}

impl ValueCounts {
    pub(super) fn new(input: AggregateInput<'_>, rows: &[u32]) -> ValueCounts {
        let column = input.column();
        // An array with one count per string of the table, unless most strings do not occur in the cell.
        if let Column::Str(_, strings) = column
            && strings.len() <= rows.len() * STRINGS_A_ROW
        {
            let mut counts = vec![0; strings.len() + 1];
            column.each_bits(rows, |bits| counts[bits.map_or(0, |code| code as usize + 1)] += 1);
            let num_distinct = counts.iter().filter(|&&count| count > 0).count();
            return ValueCounts::Codes { counts, num_distinct };
        }
        let mut counts = HashMap::default();
        rows.iter().for_each(|&slot| *counts.entry(distinct_bits(column, slot)).or_insert(0) += 1);
        ValueCounts::Values(counts)
    }

    pub(super) fn change(&mut self, input: AggregateInput<'_>, slots: &[u32], sign: i32) {
        let column = input.column();
        match self {
            ValueCounts::Codes { counts, num_distinct } => {
                for &slot in slots {
                    let place = column.bits(slot).map_or(0, |code| code as usize + 1);
                    if place >= counts.len() {
                        counts.resize(place + 1, 0);
                    }
                    let before = counts[place];
                    counts[place] = before.wrapping_add_signed(sign);
                    *num_distinct += usize::from(before == 0);
                    *num_distinct -= usize::from(counts[place] == 0);
                }
            }
            ValueCounts::Values(counts) => {
                for &slot in slots {
                    let bits = distinct_bits(column, slot);
                    let count = counts.entry(bits).or_insert(0);
                    *count = count.wrapping_add_signed(sign);
                    if *count == 0 {
                        counts.remove(&bits);
                        // Reading iterates over empty buckets too.
                        if counts.len() < counts.capacity() / 8 {
                            counts.shrink_to(counts.len() * 2);
                        }
                    }
                }
            }
        }
    }

    /// Returns the number of distinct values, null included; zeros of both signs are two.
    pub(super) fn num_distinct(&self) -> usize {
        match self {
            ValueCounts::Codes { num_distinct, .. } => *num_distinct,
            ValueCounts::Values(counts) => counts.len(),
        }
    }

    /// Returns whether all rows have one value; zeros of both signs are one.
    pub(super) fn is_one_value(&self, column: &Column) -> bool {
        match self {
            ValueCounts::Codes { num_distinct, .. } => *num_distinct == 1,
            ValueCounts::Values(counts) => {
                let mut values =
                    counts.keys().map(|bits| bits.map(|bits| without_sign_of_zero(column, bits)));
                let first = values.next().flatten();
                values.all(|value| value == first)
            }
        }
    }
}

/// As [`Column::bits`], but distinguishes `0.0` from `-0.0`.
pub(super) fn distinct_bits(column: &Column, slot: u32) -> Option<u64> {
    if let Column::Float32(cells) = column {
        cells.get(slot).map(|value| u64::from(value.to_bits()))
    } else if let Column::Float64(cells) = column {
        cells.get(slot).map(f64::to_bits)
    } else {
        column.bits(slot)
    }
}

/// Converts [`distinct_bits`] to [`Column::bits`].
fn without_sign_of_zero(column: &Column, bits: u64) -> u64 {
    if let Column::Float32(_) = column {
        float_bits(f64::from(f32::from_bits(bits as u32)))
    } else if let Column::Float64(_) = column {
        float_bits(f64::from_bits(bits))
    } else {
        bits
    }
}
