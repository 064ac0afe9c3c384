//! Slices that are written while they are read.
//!
//! Cost: a stream takes the memory of a piece, however long it is; the snapshot that it reads stays as it was, and writers copy
//! what they change of it meanwhile. Gathering a piece of a pivot takes the memory of a view, until [`BatchStream::release`].

use std::collections::VecDeque;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, SchemaRef};
use bytes::Bytes;

use super::ViewSlice;
use crate::error::Result;
use crate::export::{self, ArrowEncoder, ExportBudget, Naming, TextFormat, TextPosition};
use crate::memory::{MemoryKind, MemoryReservation};

/// Most rows of a record batch.
const BATCH_ROWS: usize = 65_536;
/// Bytes of a record batch, text written out: fewer rows where they are longer, at least one.
const BATCH_BYTES: usize = 16 << 20;

/// The text of a slice, piece by piece. The cells of a pivot are gathered at once.
#[derive(Debug)]
pub struct TextStream {
    slice: ViewSlice,
    format: TextFormat,
    position: TextPosition,
    budget: ExportBudget,
}

impl TextStream {
    /// Starts a stream.
    pub fn new(slice: ViewSlice, format: TextFormat, budget: ExportBudget) -> TextStream {
        TextStream { slice, format, position: TextPosition::default(), budget }
    }

    /// Writes the next piece; `None` after the last one.
    ///
    /// # Errors
    ///
    /// The text exceeds its budget.
    pub fn next_piece(&mut self) -> Result<Option<Bytes>> {
        if self.position == TextPosition::default() {
            self.slice.gather_pivot(self.budget.memory())?;
            self.slice.check_texts(&self.budget)?;
        }
        export::write_next(self.slice.export_source(), self.format, &mut self.position, &self.budget)
    }
}

/// The rows of a slice as record batches, one after the other, text as `Utf8`.
///
/// Text is not dictionary-encoded: of the readers of Arrow streams, some take a dictionary that follows a batch for that of
/// the batches before it, others do not take it, and the dictionary of all rows has no bound.
#[derive(Debug)]
pub struct BatchStream {
    slice: ViewSlice,
    naming: Naming,
    schema: SchemaRef,
    budget: ExportBudget,
    next_row: usize,
}

/// A record batch, with the reservation of its memory.
#[derive(Debug)]
pub struct ReservedBatch {
    /// The batch.
    pub batch: RecordBatch,
    /// Given back when the batch is sent.
    pub reservation: MemoryReservation,
}

impl BatchStream {
    /// Starts a stream.
    ///
    /// # Errors
    ///
    /// If the columns cannot be converted.
    pub fn new(slice: ViewSlice, naming: Naming, budget: ExportBudget) -> Result<BatchStream> {
        let schema = export::plain_batch(&slice.head(), naming)?.schema();
        Ok(BatchStream { slice, naming, schema, budget, next_row: 0 })
    }

    /// The schema of every batch.
    pub fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    /// Gathers the next rows; `None` after the last ones.
    ///
    /// # Errors
    ///
    /// There is no memory for them, or they exceed the budget.
    pub fn next_batch(&mut self) -> Result<Option<ReservedBatch>> {
        let num_rows = self.slice.num_rows();
        if self.next_row >= num_rows {
            return Ok(None);
        }
        if self.next_row == 0 {
            self.budget.check(num_rows.saturating_mul(least_row_bytes(&self.schema)))?;
            self.slice.check_texts(&self.budget)?;
        }
        let most_rows = self.next_row..num_rows.min(self.next_row + BATCH_ROWS);
        let piece = self.slice.piece(most_rows, BATCH_BYTES, &self.budget)?;
        let batch = export::plain_batch(&piece.rows, self.naming)?;
        let mut reservation = piece.reservation;
        reservation.grow_to(batch.get_array_memory_size() as u64)?;
        reservation.settle_all();
        self.budget.count(batch.get_array_memory_size())?;
        self.next_row = piece.end;
        if self.next_row >= num_rows {
            self.release();
        }
        Ok(Some(ReservedBatch { batch, reservation }))
    }

    /// Drops what the next batch can be gathered without, at the price of building it again: for readers that stop. Cost: that of
    /// freeing a view.
    pub fn release(&mut self) {
        self.slice.release();
    }
}

/// Bytes that every row takes, whatever its texts.
fn least_row_bytes(schema: &SchemaRef) -> usize {
    let width = |data_type: &DataType| {
        let offset = if *data_type == DataType::Utf8 { size_of::<i32>() } else { 0 };
        data_type.primitive_width().unwrap_or(offset)
    };
    schema.fields().iter().map(|field| width(field.data_type())).sum()
}

/// A slice as an Arrow IPC stream, piece by piece.
#[derive(Debug)]
pub struct ArrowStream {
    batches: BatchStream,
    /// `None` once the stream is ended.
    encoder: Option<ArrowEncoder>,
    pending: VecDeque<Bytes>,
}

impl ArrowStream {
    /// Starts a stream.
    ///
    /// # Errors
    ///
    /// If Arrow has no schema for the columns.
    pub fn new(batches: BatchStream) -> Result<ArrowStream> {
        let mut encoder = ArrowEncoder::new(&batches.schema())?;
        let mut pending = VecDeque::new();
        if batches.slice.num_rows() == 0 {
            // Some readers fail without any batch.
            let nothing = batches.budget.begin(MemoryKind::Answers, 0)?;
            pending.extend(encoder.encode(&RecordBatch::new_empty(batches.schema()), nothing)?);
        }
        Ok(ArrowStream { batches, encoder: Some(encoder), pending })
    }

    /// Writes the next piece; `None` after the last one. The pieces of a batch share its memory.
    ///
    /// # Errors
    ///
    /// As [`BatchStream::next_batch`].
    pub fn next_piece(&mut self) -> Result<Option<Bytes>> {
        loop {
            if let Some(piece) = self.pending.pop_front() {
                return Ok(Some(piece));
            }
            let Some(encoder) = &mut self.encoder else { return Ok(None) };
            match self.batches.next_batch()? {
                Some(ReservedBatch { batch, reservation }) => {
                    self.pending.extend(encoder.encode(&batch, reservation)?);
                }
                None => {
                    let Some(encoder) = self.encoder.take() else { return Ok(None) };
                    self.pending.extend(encoder.finish()?);
                }
            }
        }
    }
}
