//! Reading one column for many rows.
//!
//! Invariant: the same cells as one by one. Cost: the type is dispatched once a pass and the chunk looked up once a
//! run of rows, so a pass in slot order is a loop over primitive values.

use arrow::array::BooleanBufferBuilder;
use arrow::buffer::{NullBuffer, ScalarBuffer};
use arrow::datatypes::ArrowNativeType;

use super::Column;
use super::chunked_vec::{CHUNK, Chunk, ChunkedVec};
use crate::types::total_order::float_bits;

impl<T: Copy + Default> ChunkedVec<T> {
    /// Calls `visit` with the cell of each slot.
    #[inline]
    pub(crate) fn each(&self, slots: &[u32], mut visit: impl FnMut(Option<T>)) {
        let mut at = usize::MAX;
        let mut chunk: Option<&Chunk<T>> = None;
        for &slot in slots {
            let slot = slot as usize;
            if slot / CHUNK != at {
                at = slot / CHUNK;
                chunk = self.chunk(at);
            }
            visit(chunk.and_then(|chunk| chunk.get(slot % CHUNK)));
        }
    }

    /// Copies the cells of some slots; nulls as default values.
    pub(super) fn cells_of(&self, slots: &[u32]) -> ScalarBuffer<T>
    where
        T: ArrowNativeType,
    {
        let mut values: Vec<T> = Vec::with_capacity(slots.len());
        for run in runs(slots) {
            match self.chunk(run[0] as usize / CHUNK) {
                Some(chunk) => {
                    let at = run[0] as usize % CHUNK;
                    values.extend_from_slice(&chunk.values[at..at + run.len()]);
                }
                None => values.resize(values.len() + run.len(), T::default()),
            }
        }
        ScalarBuffer::from(values)
    }

    /// The null buffer of some slots; `None` if none is null.
    pub(super) fn nulls_of(&self, slots: &[u32]) -> Option<NullBuffer> {
        let is_full = |run: &[u32]| {
            let at = run[0] as usize % CHUNK;
            let words = at / 64..(at + run.len()).div_ceil(64);
            self.chunk(run[0] as usize / CHUNK)
                .is_some_and(|chunk| words.into_iter().all(|word| chunk.valid[word] == u64::MAX))
        };
        if runs(slots).all(is_full) {
            return None;
        }
        let mut valid = BooleanBufferBuilder::new(slots.len());
        self.each(slots, |cell| valid.append(cell.is_some()));
        let nulls = NullBuffer::new(valid.finish());
        (nulls.null_count() > 0).then_some(nulls)
    }
}

/// Splits slots into runs of consecutive ones in one chunk.
fn runs(slots: &[u32]) -> impl Iterator<Item = &[u32]> {
    slots.chunk_by(|&slot, &next| next == slot.wrapping_add(1) && !(next as usize).is_multiple_of(CHUNK))
}

impl Column {
    /// Calls `visit` with [`Column::bits`] of each slot.
    #[inline]
    pub(crate) fn each_bits(&self, slots: &[u32], mut visit: impl FnMut(Option<u64>)) {
        match self {
            Column::Int8(cells) => cells.each(slots, |cell| visit(cell.map(|value| value as i64 as u64))),
            Column::Int16(cells) => cells.each(slots, |cell| visit(cell.map(|value| value as i64 as u64))),
            Column::Int32(cells) | Column::Date(cells) => {
                cells.each(slots, |cell| visit(cell.map(|value| value as i64 as u64)));
            }
            Column::Integer(cells, _) | Column::Int64(cells) | Column::Datetime(cells) => {
                cells.each(slots, |cell| visit(cell.map(|value| value as u64)));
            }
            Column::UInt8(cells) => cells.each(slots, |cell| visit(cell.map(u64::from))),
            Column::UInt16(cells) => cells.each(slots, |cell| visit(cell.map(u64::from))),
            Column::UInt32(cells) | Column::Str(cells, _) => {
                cells.each(slots, |cell| visit(cell.map(u64::from)));
            }
            Column::UInt64(cells) => cells.each(slots, visit),
            Column::Float32(cells) => {
                cells.each(slots, |cell| visit(cell.map(|value| float_bits(f64::from(value)))));
            }
            Column::Float64(cells) => cells.each(slots, |cell| visit(cell.map(float_bits))),
            Column::Bool(cells) => cells.each(slots, |cell| visit(cell.map(u64::from))),
        }
    }
}
