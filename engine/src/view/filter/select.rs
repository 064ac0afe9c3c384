//! Selects all rows that pass a filter, for a view that is being built.
//!
//! Invariant: the result equals applying [`Filter::keeps`] to every row.
//!
//! Cost: chunk by chunk, each term becomes one bit per row in a loop over plain values; a text term is evaluated once
//! per string of the dictionary, and then compares codes.

use super::{Filter, FilterComparison, Test};
use crate::column::{CHUNK, Chunk, ChunkedVec, Column};
use crate::config::FilterReducer;
use crate::memory::{MemoryRefused, MemoryReservation};
use crate::parallel::Threads;
use crate::query::concatenated;
use crate::storage::Snapshot;
use crate::types::scalar::Scalar;

const WORDS: usize = CHUNK / 64;

/// One bit for each row of a chunk.
type Mask = [u64; WORDS];

/// Bytes of a slot.
const SLOT_BYTES: u64 = size_of::<u32>() as u64;

impl Filter {
    /// As [`Filter::select`], and reserves what the result takes.
    ///
    /// # Errors
    ///
    /// The account refuses.
    pub(crate) fn select_within(
        &self,
        snapshot: &Snapshot,
        threads: Threads,
        memory: &mut MemoryReservation,
    ) -> Result<Vec<u32>, MemoryRefused> {
        let before = memory.bytes();
        // Until it is known how many rows pass: the parts, and the whole.
        memory.grow(snapshot.num_rows() as u64 * 2 * SLOT_BYTES)?;
        let kept = self.select(snapshot, threads);
        memory.shrink_to(before + kept.len() as u64 * SLOT_BYTES);
        Ok(kept)
    }

    /// Returns the slots of all rows that pass, in key order.
    pub(crate) fn select(&self, snapshot: &Snapshot, threads: Threads) -> Vec<u32> {
        let order = snapshot.order();
        if self.is_empty() {
            let parts = threads.parts(order.len(), 1, |part| {
                order.iter_from(part.start).take(part.len()).collect::<Vec<u32>>()
            });
            return concatenated(parts);
        }
        let kept = self.bits(snapshot, threads);
        // Rows in slot order from slot 0 are read off the bits directly, skipping empty words.
        if order.ring_position(0) == Some(0) && order.len() <= kept.len() * 64 {
            let parts = threads.parts(order.len(), 64, |part| {
                let mut slots = Vec::new();
                let words = part.start / 64..part.end.div_ceil(64);
                for (word, &bits) in words.clone().zip(&kept[words]) {
                    let mut bits = bits;
                    while bits != 0 {
                        let slot = word as u32 * 64 + bits.trailing_zeros();
                        if (slot as usize) < part.end {
                            slots.push(slot);
                        }
                        bits &= bits - 1;
                    }
                }
                slots
            });
            return concatenated(parts);
        }
        let parts = threads.parts(order.len(), 1, |part| {
            let slots = order.iter_from(part.start).take(part.len());
            slots.filter(|&slot| self.is_set(&kept, snapshot, slot)).collect::<Vec<u32>>()
        });
        concatenated(parts)
    }

    fn is_set(&self, kept: &[u64], snapshot: &Snapshot, slot: u32) -> bool {
        match kept.get(slot as usize / 64) {
            Some(word) => word >> (slot % 64) & 1 == 1,
            // The slot is beyond the end of every filtered column.
            None => self.keeps(snapshot, slot),
        }
    }

    /// Returns one bit per slot; bits of slots without a row are arbitrary.
    fn bits(&self, snapshot: &Snapshot, threads: Threads) -> Vec<u64> {
        let columns = self.terms.iter().map(|term| snapshot.column(term.column));
        let num_chunks = columns.map(Column::num_chunks).max().unwrap_or(0);
        let terms: Vec<(&Test, &Column, bool, Vec<bool>)> = self
            .terms
            .iter()
            .map(|term| {
                let column = snapshot.column(term.column);
                let keeps_null = term.test.keeps(&Column::new(column.storage()), 0);
                (&term.test, column, keeps_null, term.test.kept_codes(column, threads))
            })
            .collect();
        let parts = threads.parts(num_chunks * CHUNK, CHUNK, |part| {
            let mut words = Vec::with_capacity(part.len() / 64);
            for chunk in part.start / CHUNK..part.end.div_ceil(CHUNK) {
                let mut all: Option<Mask> = None;
                for (test, column, keeps_null, codes) in &terms {
                    // A chunk without remaining rows needs no further term.
                    if self.reducer == FilterReducer::And && all == Some([0; WORDS]) {
                        break;
                    }
                    let mask = test.mask(column, chunk, *keeps_null, codes);
                    let before = all.get_or_insert(mask);
                    for (all, one) in before.iter_mut().zip(mask) {
                        match self.reducer {
                            FilterReducer::And => *all &= one,
                            FilterReducer::Or => *all |= one,
                        }
                    }
                }
                words.extend_from_slice(&all.unwrap_or([!0; WORDS]));
            }
            words
        });
        concatenated(parts)
    }
}

impl Test {
    /// For a text column, whether each string of the dictionary passes.
    fn kept_codes(&self, column: &Column, threads: Threads) -> Vec<bool> {
        let Column::Str(_, strings) = column else { return Vec::new() };
        let parts = threads.parts(strings.len(), 1, |part| {
            part.map(|code| self.keeps_text(strings.get(code as u32))).collect::<Vec<bool>>()
        });
        concatenated(parts)
    }

    fn keeps_text(&self, text: &str) -> bool {
        match self {
            Test::Everything | Test::IsNotNull => true,
            Test::Nothing | Test::IsNull => false,
            Test::Compare(comparison, Scalar::Str(operand)) => {
                comparison.holds(text.as_bytes().cmp(operand.as_bytes()))
            }
            Test::Compare(comparison, operand) => comparison.holds(Scalar::from(text).cmp(operand)),
            Test::Text { place, needle, is_negated } => super::found(text, needle, *place) != *is_negated,
            Test::Matches { pattern, is_negated } => {
                pattern.as_ref().is_some_and(|pattern| pattern.is_match(text) != *is_negated)
            }
            Test::In { values, is_negated } => values.contains(&Scalar::from(text)) != *is_negated,
        }
    }

    /// Returns the rows of a chunk that pass.
    fn mask(&self, column: &Column, chunk: usize, keeps_null: bool, codes: &[bool]) -> Mask {
        match (self, column) {
            (_, Column::Str(cells, _)) => {
                masked(cells, chunk, keeps_null, |code| codes.get(code as usize).copied().unwrap_or(false))
            }
            (Test::Compare(comparison, Scalar::Float(operand)), Column::Float64(cells))
                if !operand.is_nan() =>
            {
                float_mask(cells, chunk, keeps_null, *comparison, *operand)
            }
            (Test::Compare(comparison, Scalar::Float(operand)), Column::Float32(cells))
                if !operand.is_nan() =>
            {
                float_mask(cells, chunk, keeps_null, *comparison, *operand)
            }
            (Test::Compare(comparison, Scalar::Int(operand)), Column::Int8(cells)) => {
                ordered_mask(cells, chunk, keeps_null, *comparison, *operand)
            }
            (Test::Compare(comparison, Scalar::Int(operand)), Column::Int16(cells)) => {
                ordered_mask(cells, chunk, keeps_null, *comparison, *operand)
            }
            (Test::Compare(comparison, Scalar::Int(operand)), Column::Int32(cells)) => {
                ordered_mask(cells, chunk, keeps_null, *comparison, *operand)
            }
            (
                Test::Compare(comparison, Scalar::Int(operand)),
                Column::Integer(cells, _) | Column::Int64(cells),
            ) => ordered_mask(cells, chunk, keeps_null, *comparison, *operand),
            (Test::Compare(comparison, Scalar::Int(operand)), Column::UInt8(cells)) => {
                ordered_mask(cells, chunk, keeps_null, *comparison, *operand)
            }
            (Test::Compare(comparison, Scalar::Int(operand)), Column::UInt16(cells)) => {
                ordered_mask(cells, chunk, keeps_null, *comparison, *operand)
            }
            (Test::Compare(comparison, Scalar::Int(operand)), Column::UInt32(cells)) => {
                ordered_mask(cells, chunk, keeps_null, *comparison, *operand)
            }
            (Test::Compare(comparison, Scalar::Datetime(operand)), Column::Datetime(cells)) => {
                ordered_mask(cells, chunk, keeps_null, *comparison, *operand)
            }
            (Test::Compare(comparison, Scalar::Date(operand)), Column::Date(cells)) => {
                ordered_mask(cells, chunk, keeps_null, *comparison, *operand)
            }
            (Test::Compare(comparison, Scalar::Bool(operand)), Column::Bool(cells)) => {
                ordered_mask(cells, chunk, keeps_null, *comparison, *operand)
            }
            (
                Test::Everything
                | Test::Nothing
                | Test::IsNull
                | Test::IsNotNull
                | Test::Compare(..)
                | Test::Text { .. }
                | Test::Matches { .. }
                | Test::In { .. },
                _,
            ) => {
                let mut mask = [0; WORDS];
                for at in 0..CHUNK {
                    let slot = (chunk * CHUNK + at) as u32;
                    mask[at / 64] |= u64::from(self.keeps(column, slot)) << (at % 64);
                }
                mask
            }
        }
    }
}

impl FilterComparison {
    pub(super) fn holds(self, order: std::cmp::Ordering) -> bool {
        match self {
            FilterComparison::Equal => order.is_eq(),
            FilterComparison::NotEqual => order.is_ne(),
            FilterComparison::Greater => order.is_gt(),
            FilterComparison::GreaterEqual => order.is_ge(),
            FilterComparison::Less => order.is_lt(),
            FilterComparison::LessEqual => order.is_le(),
        }
    }
}

/// Compares by one loop per comparison, so that each can be vectorised.
fn ordered_mask<T: Copy + Default, V: Copy + PartialOrd + From<T>>(
    cells: &ChunkedVec<T>,
    chunk: usize,
    keeps_null: bool,
    comparison: FilterComparison,
    operand: V,
) -> Mask {
    match comparison {
        FilterComparison::Equal => masked(cells, chunk, keeps_null, |value| V::from(value) == operand),
        FilterComparison::NotEqual => masked(cells, chunk, keeps_null, |value| V::from(value) != operand),
        FilterComparison::Greater => masked(cells, chunk, keeps_null, |value| V::from(value) > operand),
        FilterComparison::GreaterEqual => masked(cells, chunk, keeps_null, |value| V::from(value) >= operand),
        FilterComparison::Less => masked(cells, chunk, keeps_null, |value| V::from(value) < operand),
        FilterComparison::LessEqual => masked(cells, chunk, keeps_null, |value| V::from(value) <= operand),
    }
}

/// As in IEEE comparisons, NaN is unequal to the operand and neither greater nor less.
fn float_mask<T: Copy + Default>(
    cells: &ChunkedVec<T>,
    chunk: usize,
    keeps_null: bool,
    comparison: FilterComparison,
    operand: f64,
) -> Mask
where
    f64: From<T>,
{
    ordered_mask::<T, f64>(cells, chunk, keeps_null, comparison, operand)
}

fn masked<T: Copy + Default>(
    cells: &ChunkedVec<T>,
    chunk: usize,
    keeps_null: bool,
    keeps: impl Fn(T) -> bool,
) -> Mask {
    let of_nulls = if keeps_null { !0 } else { 0 };
    let Some(Chunk { values, valid }) = cells.chunk(chunk) else { return [of_nulls; WORDS] };
    let mut mask = [0; WORDS];
    for (word, (values, &valid)) in mask.iter_mut().zip(values.chunks_exact(64).zip(valid)) {
        let mut kept = 0;
        for (at, &value) in values.iter().enumerate() {
            kept |= u64::from(keeps(value)) << at;
        }
        *word = (kept & valid) | (of_nulls & !valid);
    }
    mask
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{Float64Array, Int32Array, StringArray};

    use super::*;
    use crate::config::FilterTerm;
    use crate::data::{Batch, BatchColumn, TableOptions};
    use crate::table::OwnedTable;
    use crate::types::schema::{Field, Schema, Storage};

    #[test]
    fn selecting_equals_testing_each_row() {
        let fields = [("k", Storage::Int32), ("s", Storage::Utf8), ("f", Storage::Float64)];
        let schema = Schema::new(fields.iter().map(|(name, storage)| Field::new(*name, *storage)).collect());
        let options = TableOptions { index: Some("k".into()), ..TableOptions::default() };
        let mut table = OwnedTable::empty_for_test(schema.clone(), options);
        let texts = ["", "a", "Ab", "zz"];
        let rows = 0..3000usize;
        let text = |row: usize| (!row.is_multiple_of(5)).then(|| texts[row % 4]);
        let float = |row: usize| match row % 7 {
            0 => None,
            1 => Some(f64::NAN),
            2 => Some(-0.0),
            other => Some(other as f64 - 4.0),
        };
        let arrays: Vec<arrow::array::ArrayRef> = vec![
            Arc::new(Int32Array::from_iter_values(rows.clone().map(|row| (row * 7919 % 3000) as i32))),
            Arc::new(rows.clone().map(text).collect::<StringArray>()),
            Arc::new(rows.clone().map(float).collect::<Float64Array>()),
        ];
        let columns = arrays.into_iter().enumerate();
        let columns = columns.map(|(column, values)| BatchColumn { column, values, missing: None });
        table.apply_for_test(&Batch { num_rows: rows.len(), columns: columns.collect(), keys: None });
        let snapshot = table.snapshot();
        let term = |column: &str, op: &str, operand: Scalar| FilterTerm {
            column: column.into(),
            op: op.into(),
            operands: vec![operand],
        };
        let mut terms = vec![
            term("s", "contains", "B".into()),
            term("s", "in", "zz".into()),
            term("s", "not matches", "^A".into()),
            term("s", "is null", Scalar::Null),
            term("f", "is not null", Scalar::Null),
            term("f", "==", Scalar::Float(f64::NAN)),
        ];
        for op in ["==", "!=", "<", "<=", ">", ">="] {
            terms.extend([
                term("s", op, "a".into()),
                term("f", op, Scalar::Float(0.0)),
                term("k", op, Scalar::Float(1500.0)),
                term("k", op, Scalar::Null),
            ]);
        }
        for (at, one) in terms.iter().enumerate() {
            let pair = [one.clone(), terms[(at * 5 + 3) % terms.len()].clone()];
            for reducer in [FilterReducer::And, FilterReducer::Or] {
                let column_of =
                    |name: &str| schema.index_of(name).map(|column| (column, schema.field(column).storage));
                let (filter, _) = Filter::new(&pair, reducer, column_of).unwrap();
                let expected: Vec<u32> =
                    snapshot.order().iter_from(0).filter(|&slot| filter.keeps(&snapshot, slot)).collect();
                assert_eq!(filter.select(&snapshot, Threads::new(2)), expected, "{pair:?} {reducer:?}");
            }
        }
    }
}
