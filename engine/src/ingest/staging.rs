//! The memory of a write while it is read, and until it is applied.
//!
//! Invariant: a reader reserves what its data can become before it takes the memory: from the data where that is cheap (cells
//! of a CSV, decoded sizes of an Arrow stream), and else as it reads, so that it stops where there is no more. What is
//! reserved covers the batch and the table's own copy of it.
//!
//! Cost: a few additions, and the account's lock once in 64 Ki cells.

use std::sync::{Mutex, PoisonError};

use ::arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use ::arrow::datatypes::DataType;
use ahash::AHashSet;

use crate::data::Batch;
use crate::error::Result;
use crate::memory::{MemoryAccount, MemoryKind, MemoryReservation, SMALL_BYTES};

/// Bytes of a cell while JSON is read: it grows with the rows, and is counted in steps.
const CELL_BYTES: usize = 12;
/// Bytes of a CSV's cell, which is parsed in parts that are joined: in a part, in the batch, in the table.
const CSV_CELL_BYTES: usize = 3 * 8;

/// Bytes that a table takes for a text beside its characters: its allocation, its place in the dictionary and in the index of it.
const TEXT_BYTES: usize = 96;
/// Texts of a column that are looked at, for how many of them are equal.
const SAMPLED_TEXTS: usize = 512;

/// The reservation of one write, shared by the threads that read it.
#[derive(Debug)]
pub(crate) struct StagingMemory(Mutex<MemoryReservation>);

impl StagingMemory {
    pub(crate) fn new(memory: &MemoryAccount) -> StagingMemory {
        StagingMemory(Mutex::new(memory.nothing(MemoryKind::Staging)))
    }

    /// For batches whose memory is reserved already, in the data or by decoding.
    pub(super) fn sharing(&self) -> BatchMemory<'_> {
        BatchMemory { staging: self, copies: 1 }
    }

    /// For batches that are read one after the other.
    pub(super) fn copying(&self) -> BatchMemory<'_> {
        BatchMemory { staging: self, copies: 2 }
    }

    /// Reserves more.
    pub(super) fn grow(&self, num_bytes: usize) -> Result<()> {
        let mut reservation = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        reservation.grow(num_bytes as u64).map_err(Into::into)
    }

    /// Gives back what is more than this: the data are read again.
    pub(super) fn restart(&self, num_bytes: usize) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).shrink_to(num_bytes as u64);
    }

    /// Reserves memory for cells.
    pub(super) fn grow_cells(&self, num_cells: usize) -> Result<()> {
        self.grow(num_cells.saturating_mul(CELL_BYTES))
    }

    /// Reserves memory for what a CSV becomes.
    pub(super) fn grow_csv(&self, text: &str, separator: u8) -> Result<()> {
        let num_cells =
            text.bytes().filter(|byte| *byte == separator || *byte == b'\n' || *byte == b'\r').count();
        self.grow(text.len().saturating_add(num_cells.saturating_mul(CSV_CELL_BYTES)))
    }

    /// The reservation once the batch is read: of the batch, which is allocated, and of the table's own copy of it.
    ///
    /// # Errors
    ///
    /// There is no memory for the copy.
    pub(crate) fn read(self, batch: &Batch) -> Result<MemoryReservation> {
        let mut reservation = self.0.into_inner().unwrap_or_else(PoisonError::into_inner);
        if reservation.bytes() > SMALL_BYTES {
            let columns = batch.columns.iter().map(|column| &column.values).chain(&batch.keys);
            let (mut num_bytes, mut num_texts) = (0, 0);
            for values in columns {
                num_bytes += array_bytes(values, None);
                num_texts += distinct_texts(values);
            }
            let all = (2 * num_bytes + num_texts * TEXT_BYTES) as u64;
            reservation.shrink_to(all);
            reservation.grow_to(all)?;
            reservation.settle(num_bytes as u64);
        }
        Ok(reservation)
    }
}

/// The memory of columns that are read batch by batch.
#[derive(Debug, Clone, Copy)]
pub(super) struct BatchMemory<'a> {
    pub(super) staging: &'a StagingMemory,
    /// How often a column is in memory in addition to its data: joined or in the table, and where it is read into.
    copies: usize,
}

impl BatchMemory<'_> {
    /// Reserves memory for the next piece of a column.
    pub(super) fn grow(&self, values: &ArrayRef, before: Option<&ArrayRef>) -> Result<()> {
        self.staging.grow(array_bytes(values, before).saturating_mul(self.copies))
    }
}

/// The number of texts that a table of this column keeps, estimated from a sample where they are not coded.
fn distinct_texts(values: &ArrayRef) -> usize {
    match values.data_type() {
        DataType::Utf8 => {
            let texts = values.as_string::<i32>();
            let step = (texts.len() / SAMPLED_TEXTS).max(1);
            let sample = (0..texts.len()).step_by(step);
            let (size, distinct) =
                (sample.len().max(1), sample.map(|row| texts.value(row)).collect::<AHashSet<_>>());
            texts.len().saturating_mul(distinct.len()) / size
        }
        DataType::Dictionary(_, _) => values.as_any_dictionary().values().len(),
        _ => 0,
    }
}

/// The bytes of an array, of which it may share more. A dictionary that it shares with the array before is not counted again.
pub(super) fn array_bytes(values: &ArrayRef, before: Option<&ArrayRef>) -> usize {
    let nulls = values.len() / 8;
    if let Some(width) = values.data_type().primitive_width() {
        return values.len() * width + nulls;
    }
    if let Some(texts) = values.as_string_opt::<i32>() {
        let offsets = texts.value_offsets();
        return (offsets[offsets.len() - 1] - offsets[0]) as usize + values.len() * 4 + nulls;
    }
    match values.data_type() {
        DataType::Dictionary(codes, _) => {
            let entries = values.as_any_dictionary().values();
            let is_shared = before
                .and_then(|before| before.as_any_dictionary_opt())
                .is_some_and(|before| before.values().to_data().ptr_eq(&entries.to_data()));
            let entries = if is_shared { 0 } else { array_bytes(entries, None) };
            values.len() * codes.primitive_width().unwrap_or(8) + nulls + entries
        }
        _ => values.to_data().get_slice_memory_size().unwrap_or_else(|_| values.get_array_memory_size()),
    }
}

/// The bytes of a batch, of which it may share more; dictionaries that it shares with the batch before are not counted again.
///
/// [`RecordBatch::get_array_memory_size`] counts a message once for each column that was read from it.
pub fn batch_bytes(batch: &RecordBatch, before: Option<&RecordBatch>) -> usize {
    let columns = batch.columns().iter().enumerate();
    columns
        .map(|(position, values)| {
            array_bytes(values, before.and_then(|before| before.columns().get(position)))
        })
        .sum()
}
