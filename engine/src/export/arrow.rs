//! The Arrow IPC stream: the schema, one dictionary per text column, exactly one record batch, the end-of-stream
//! marker.
//!
//! Invariant: text is always `Dictionary<Int32, Utf8>` with entries in order of first appearance; every field is
//! nullable; schema and fields carry no metadata.

#![allow(clippy::wildcard_enum_match_arm, reason = "Arrow's data types are not ours")]

use std::sync::Arc;

use ahash::AHashMap;
use arrow::array::{
    Array, ArrayRef, AsArray, DictionaryArray, Int32Array, RecordBatch, RecordBatchOptions, StringArray,
};
use arrow::buffer::Buffer;
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Int32Type, Schema};
use arrow::error::ArrowError;
use arrow_ipc::CompressionType;
use arrow_ipc::writer::{IpcWriteOptions, StreamEncoder};
use bytes::Bytes;

use super::budget::{ExportBudget, reserved};
use super::{Compression, Naming, RowSlice};
use crate::error::{DataError, DataFormat, EngineError, Result};
use crate::memory::{MemoryKind, MemoryReservation};

/// Encodes the stream in pieces. Uncompressed buffers are shared with the arrays, so the stream is not copied; the pieces keep
/// their reservations.
pub(super) fn pieces(
    slice: &RowSlice,
    naming: Naming,
    compression: Compression,
    kept: (Option<MemoryReservation>, MemoryReservation),
    budget: &ExportBudget,
) -> Result<Vec<Bytes>> {
    let batch = batch(slice, naming)?;
    let compressed = match codec(compression) {
        // Most data become half as long; what they became is counted below.
        Some(_) => batch.get_array_memory_size() / 2,
        None => 0,
    };
    let mut compressed = budget.begin(MemoryKind::Answers, compressed)?;
    let encode = || {
        let options = IpcWriteOptions::default().try_with_compression(codec(compression))?;
        let mut encoder = StreamEncoder::try_new_with_options(&batch.schema(), options)?;
        let mut buffers = encoder.encode(&batch)?;
        buffers.append(&mut encoder.finish()?);
        Ok(buffers)
    };
    let buffers = encode().map_err(cannot_write)?;
    let num_bytes = buffers.iter().map(Buffer::len).sum();
    if codec(compression).is_some() {
        compressed.shrink_to(num_bytes as u64);
        compressed.grow_to(num_bytes as u64)?;
    }
    compressed.settle_all();
    budget.count(num_bytes)?;
    // Compressed buffers share no memory with the arrays.
    let kept = if codec(compression).is_none() { Some(kept) } else { None };
    let kept = Arc::new((kept, compressed));
    Ok(buffers.into_iter().map(|buffer| reserved(Shared(buffer), kept.clone())).collect())
}

/// Writes an Arrow IPC stream batch by batch.
pub(crate) struct ArrowEncoder(StreamEncoder);

impl std::fmt::Debug for ArrowEncoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ArrowEncoder")
    }
}

impl ArrowEncoder {
    pub(crate) fn new(schema: &Schema) -> Result<ArrowEncoder> {
        StreamEncoder::try_new(schema).map(ArrowEncoder).map_err(cannot_write)
    }

    /// Encodes a batch, the first one behind the schema. The pieces share the batch's memory and keep its reservation.
    pub(crate) fn encode(
        &mut self,
        batch: &RecordBatch,
        reservation: MemoryReservation,
    ) -> Result<Vec<Bytes>> {
        let buffers = self.0.encode(batch).map_err(cannot_write)?;
        let kept = Arc::new(reservation);
        Ok(buffers.into_iter().map(|buffer| reserved(Shared(buffer), kept.clone())).collect())
    }

    /// Ends the stream.
    pub(crate) fn finish(self) -> Result<Vec<Bytes>> {
        let buffers = self.0.finish().map_err(cannot_write)?;
        Ok(buffers.into_iter().map(|buffer| Bytes::from_owner(Shared(buffer))).collect())
    }
}

/// Shares a buffer as [`Bytes`].
struct Shared(Buffer);

impl AsRef<[u8]> for Shared {
    fn as_ref(&self) -> &[u8] {
        self.0.as_slice()
    }
}

/// Converts a slice to one record batch: key columns, then columns.
pub(super) fn batch(slice: &RowSlice, naming: Naming) -> Result<RecordBatch> {
    batch_of(slice, naming, |values| Ok(coded(values)))
}

/// As [`batch`], with text as `Utf8`.
pub(super) fn plain_batch(slice: &RowSlice, naming: Naming) -> Result<RecordBatch> {
    batch_of(slice, naming, |values| match values.data_type() {
        DataType::Dictionary(_, of) => cast(values, of),
        _ => Ok(values.clone()),
    })
}

fn batch_of(
    slice: &RowSlice,
    naming: Naming,
    convert: impl Fn(&ArrayRef) -> Result<ArrayRef, ArrowError>,
) -> Result<RecordBatch> {
    let mut fields = Vec::new();
    let mut arrays = Vec::new();
    let mut push = |name: String, values: &ArrayRef| -> Result<()> {
        let values = convert(values).map_err(cannot_write)?;
        fields.push(Field::new(name, values.data_type().clone(), true));
        arrays.push(values);
        Ok(())
    };
    for (position, (name, values)) in slice.row_paths.iter().flat_map(|paths| &paths.levels).enumerate() {
        push(naming.key(position, name), values)?;
    }
    for column in &slice.columns {
        push(naming.column(column).to_owned(), &column.values)?;
    }
    let num_rows = RecordBatchOptions::new().with_row_count(Some(slice.num_rows));
    RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), arrays, &num_rows).map_err(cannot_write)
}

fn cannot_write(error: ArrowError) -> EngineError {
    DataError::Encoding { format: DataFormat::Arrow, reason: error.to_string() }.into()
}

/// The browser's worker never compresses: arrow-ipc 59 corrupts compressed bodies on 32-bit targets, and nothing is
/// sent over a network there.
fn codec(compression: Compression) -> Option<CompressionType> {
    match compression {
        _ if cfg!(target_family = "wasm") => None,
        Compression::None => None,
        Compression::Lz4 => Some(CompressionType::LZ4_FRAME),
        Compression::Zstd => Some(CompressionType::ZSTD),
    }
}

/// Dictionary-encodes text in order of appearance; other types are returned unchanged.
fn coded(values: &ArrayRef) -> ArrayRef {
    match values.data_type() {
        DataType::Utf8 => Arc::new(code_texts(values.as_string::<i32>().iter())),
        DataType::Dictionary(_, _) => match values.as_dictionary_opt::<Int32Type>() {
            Some(dictionary) if !is_in_order_of_appearance(dictionary) => {
                match dictionary.downcast_dict::<StringArray>() {
                    Some(texts) => Arc::new(code_texts(texts.into_iter())),
                    None => values.clone(),
                }
            }
            _ => values.clone(),
        },
        _ => values.clone(),
    }
}

/// Whether the entries are exactly the values used, in order of first appearance.
fn is_in_order_of_appearance(dictionary: &DictionaryArray<Int32Type>) -> bool {
    let mut next = 0;
    for code in dictionary.keys().iter().flatten() {
        if code > next {
            return false;
        }
        next += i32::from(code == next);
    }
    next as usize == dictionary.values().len() && dictionary.values().null_count() == 0
}

fn code_texts<'a>(texts: impl Iterator<Item = Option<&'a str>>) -> DictionaryArray<Int32Type> {
    let mut entries: Vec<&str> = Vec::new();
    let mut code_of: AHashMap<&str, i32> = AHashMap::new();
    let codes: Int32Array = texts
        .map(|text| {
            text.map(|text| {
                *code_of.entry(text).or_insert_with(|| {
                    entries.push(text);
                    entries.len() as i32 - 1
                })
            })
        })
        .collect();
    DictionaryArray::new(codes, Arc::new(StringArray::from(entries)))
}
