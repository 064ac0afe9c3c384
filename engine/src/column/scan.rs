//! Reading one column for many rows.
//!
//! Law: the same cells as one by one; the type is looked at once a pass and the chunk once a run of rows, so that a
//! pass in slot order is a loop over plain values.

use super::Column;
use super::spine::{CHUNK, Chunk, Chunked};
use crate::scalar::float_bits;

impl<T: Copy + Default> Chunked<T> {
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
}

impl Column {
    /// [`Column::bits`] of each slot.
    #[inline]
    pub(crate) fn each_bits(&self, slots: &[u32], mut visit: impl FnMut(Option<u64>)) {
        match self {
            Column::Int8(cells) => cells.each(slots, |cell| visit(cell.map(|value| value as i64 as u64))),
            Column::Int16(cells) => cells.each(slots, |cell| visit(cell.map(|value| value as i64 as u64))),
            Column::Int32(cells) | Column::Date(cells) => {
                cells.each(slots, |cell| visit(cell.map(|value| value as i64 as u64)));
            }
            Column::Int64(cells) | Column::Datetime(cells) => {
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
