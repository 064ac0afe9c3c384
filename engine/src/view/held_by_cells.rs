//! What the aggregates of a pivot hold beside a fixed number of bytes for each cell: states of cells with many rows, and texts
//! that no column has.
//!
//! Invariant: the number is that of the last count and what was noted since. Cost: amortized, O(1) for a call.

use std::sync::Arc;

use crate::types::scalar::Scalar;

/// Bytes that a state takes for each row of its cell, about: an entry of an ordered tree, or a value and its count.
const STATE_ROW_BYTES: usize = 16;
/// Calls for which states are not counted again.
const CALLS_BETWEEN_COUNTS: u32 = 64;
/// Least number of cached values after which their texts are counted again.
const CACHED_BETWEEN_COUNTS: usize = 1024;

#[derive(Debug, Default)]
pub(super) struct HeldByCells {
    state_bytes: usize,
    text_bytes: usize,
    /// Calls since states were counted; `None`: they are counted with the next one.
    calls: Option<u32>,
    /// Values that were cached since their texts were counted.
    num_cached: usize,
}

impl HeldByCells {
    /// Notes that a cell has a new state.
    pub(super) fn note_state(&mut self) {
        self.calls = None;
    }

    /// Notes a value that is cached. Those that are dropped are not noted.
    pub(super) fn note_cached(&mut self, value: &Scalar) {
        self.text_bytes += own_text_bytes(value);
        self.num_cached += 1;
    }

    /// The bytes, where `state_rows` counts the rows of all states, and `cached` lists the cached values.
    pub(super) fn bytes<'a, C: Iterator<Item = &'a Scalar>>(
        &mut self,
        state_rows: impl FnOnce() -> usize,
        num_cells: usize,
        cached: impl FnOnce() -> C,
    ) -> usize {
        match &mut self.calls {
            Some(calls) if *calls < CALLS_BETWEEN_COUNTS => *calls += 1,
            calls => {
                *calls = Some(0);
                self.state_bytes = state_rows() * STATE_ROW_BYTES;
            }
        }
        if self.num_cached > num_cells.max(CACHED_BETWEEN_COUNTS) {
            self.text_bytes = cached().map(own_text_bytes).sum();
            self.num_cached = 0;
        }
        self.state_bytes + self.text_bytes
    }
}

/// Bytes of a text that no column has.
fn own_text_bytes(value: &Scalar) -> usize {
    match value {
        Scalar::Str(text) if Arc::strong_count(text) == 1 => text.len(),
        Scalar::Str(_)
        | Scalar::Null
        | Scalar::Bool(_)
        | Scalar::Int(_)
        | Scalar::UInt(_)
        | Scalar::Float(_)
        | Scalar::Date(_)
        | Scalar::Datetime(_) => 0,
    }
}
