//! Encoders of view slices: JSON columns, JSON rows, NDJSON, CSV and Arrow.
//!
//! Invariant: a format does not depend on tables or pivots; it encodes a [`RowSlice`].

mod arrow;
mod budget;
mod cell;
mod csv;
mod format;
mod identity;
mod json_columns;
mod json_rows;
mod pieces;
#[cfg(test)]
mod tests;
mod text_bytes;

use crate::memory::{MemoryAccount, MemoryKind, MemoryReservation};
pub(crate) use arrow::ArrowEncoder;
pub use budget::ExportBudget;
/// Encodes the cells of a column as JSON; also used for lists that are stored as text.
pub(crate) use cell::CellWriter as JsonCells;
pub use pieces::TextFormat;
pub(crate) use pieces::{ExportSource, PIECE_BYTES, PIECE_CELLS, RowSource, TextPosition, write_next};

use std::ops::Range;
use std::sync::Arc;

use ::arrow::array::{Array, ArrayRef, RecordBatch};
use bytes::Bytes;

use crate::error::{DataError, Result};
use crate::parallel::Threads;

/// A slice of a view as Arrow arrays.
#[derive(Debug, Clone)]
pub struct RowSlice {
    /// The kind of view, which determines the row identity.
    pub kind: WindowKind,
    /// The number of rows.
    pub num_rows: usize,
    /// The visible columns of the slice, in view order. Text is `Dictionary<Int32, Utf8>` with codes in order of
    /// first appearance; other types are not dictionary-encoded.
    pub columns: Vec<SliceColumn>,
    /// The group values of every row of a grouped view.
    pub row_paths: Option<RowPaths>,
    /// The rows' own keys, for flat and column-only views if requested (`id` or `index`).
    pub keys: Option<ArrayRef>,
    /// The keys of all table rows under each row, for grouped views if `index` is requested.
    pub member_keys: Option<Vec<ArrayRef>>,
}

impl RowSlice {
    /// Bytes of the gathered cells and the names.
    pub(crate) fn memory(&self) -> usize {
        let levels = self.row_paths.iter().flat_map(|paths| &paths.levels).map(|(_, values)| values);
        let keys = self.keys.iter().chain(self.member_keys.iter().flatten());
        let arrays = self.columns.iter().map(|column| &column.values).chain(levels).chain(keys);
        let names = self.columns.iter().map(|column| column.name.len() + column.readable_name.len() + 128);
        arrays.map(|values| values.get_array_memory_size()).sum::<usize>()
            + names.sum::<usize>()
            + 4 * self.num_rows
    }

    /// Returns a range of rows and columns; the cells are shared.
    pub(crate) fn slice(&self, rows: Range<usize>, columns: Range<usize>) -> RowSlice {
        let slice = |values: &ArrayRef| values.slice(rows.start, rows.len());
        let column = |column: &SliceColumn| SliceColumn { values: slice(&column.values), ..column.clone() };
        let paths = |paths: &RowPaths| RowPaths {
            depths: paths.depths[rows.clone()].to_vec(),
            levels: paths.levels.iter().map(|(name, values)| (name.clone(), slice(values))).collect(),
        };
        RowSlice {
            kind: self.kind,
            num_rows: rows.len(),
            columns: self.columns[columns].iter().map(column).collect(),
            row_paths: self.row_paths.as_ref().map(paths),
            keys: self.keys.as_ref().map(slice),
            member_keys: self.member_keys.as_ref().map(|keys| keys[rows.clone()].to_vec()),
        }
    }
}

/// The kind of view that a slice is taken from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WindowKind {
    /// One row per table row that passes the filter; neither `group_by` nor `split_by`.
    Flat,
    /// Has row paths.
    Grouped,
    /// `split_by` without `group_by`.
    ColumnOnly,
    /// One row, no row path (`group_rollup_mode: total` without `group_by`).
    Total {
        /// Whether the view has `split_by`.
        split: bool,
    },
}

/// A column of a slice.
#[derive(Debug, Clone)]
pub struct SliceColumn {
    /// The name in JSON: split values and column name joined with `|`.
    pub name: Arc<str>,
    /// The name in CSV and Arrow. Differs from `name` where a group column is shown as an aggregate: `g (count)`.
    pub readable_name: Arc<str>,
    /// The cells, one per row.
    pub values: ArrayRef,
}

/// The group values of each row of a grouped slice.
#[derive(Debug, Clone)]
pub struct RowPaths {
    /// Depth of each row; 0 is the total.
    pub depths: Vec<u32>,
    /// One per `group_by` level: the column's name and the rows' values, null below the row's depth. (A null at or
    /// above the depth is the null group.)
    pub levels: Vec<(Arc<str>, ArrayRef)>,
}

/// Options of the JSON formats.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct JsonOptions {
    /// Adds `__ID__`.
    pub id: bool,
    /// Adds `__INDEX__`.
    pub index: bool,
    /// Encodes dates and datetimes as text instead of epoch milliseconds.
    pub formatted: bool,
}

/// The compression of Arrow record batches.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Compression {
    /// Requested by an absent or empty name.
    #[default]
    None,
    /// The LZ4 frame format, requested as `lz4`.
    Lz4,
    /// Zstandard, requested as `zstd`.
    Zstd,
}

impl Compression {
    /// Parses the name that a client sends, exactly as spelled; `None` and the empty text mean no compression.
    /// Fails for other names.
    pub fn parse(name: Option<&str>) -> Result<Compression> {
        match name {
            None | Some("") => Ok(Compression::None),
            Some("lz4") => Ok(Compression::Lz4),
            Some("zstd") => Ok(Compression::Zstd),
            Some(other) => Err(DataError::UnknownCodec { given: other.to_owned() }.into()),
        }
    }
}

/// How key columns and aggregates are named in CSV and Arrow.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Naming {
    /// `g`, `g (count)`.
    #[default]
    Readable,
    /// `g (Group by 1)`, aggregates by column name: as clients up to 5.5 show them.
    Legacy,
    /// `__ROW_PATH_0__`, aggregates by column name.
    Machine,
}

impl Naming {
    /// The name of the group column `name` at a level, counted from 0.
    pub(crate) fn key(self, level: usize, name: &str) -> String {
        match self {
            Naming::Readable => name.to_owned(),
            Naming::Legacy => format!("{name} (Group by {})", level + 1),
            Naming::Machine => format!("__ROW_PATH_{level}__"),
        }
    }

    pub(crate) fn column(self, column: &SliceColumn) -> &str {
        match self {
            Naming::Readable => &column.readable_name,
            Naming::Legacy | Naming::Machine => &column.name,
        }
    }
}

/// Encodes a slice as one JSON object of arrays. Cost: O(cells), as for all formats.
pub fn json_columns(slice: &RowSlice, options: JsonOptions) -> String {
    text(slice, TextFormat::JsonColumns(options))
}

/// Encodes a slice as a JSON array of objects.
pub fn json_rows(slice: &RowSlice, options: JsonOptions) -> String {
    text(slice, TextFormat::JsonRows(options))
}

/// Encodes a slice as JSON objects, one per line.
pub fn ndjson(slice: &RowSlice, options: JsonOptions) -> String {
    text(slice, TextFormat::Ndjson(options))
}

/// Encodes a slice as CSV.
pub fn csv(slice: &RowSlice, naming: Naming) -> String {
    text(slice, TextFormat::Csv(naming))
}

fn text(slice: &RowSlice, format: TextFormat) -> String {
    let budget = ExportBudget::unlimited();
    let pieces = pieces::write(ExportSource::Whole(slice), format, Threads::ONE, &budget);
    let text = pieces.expect("an export without bounds is not refused").concat();
    String::from_utf8(text).expect("the pieces are texts")
}

/// Encodes a text as consecutive pieces, on up to `num_threads` threads, which end before this returns.
pub(crate) fn text_pieces(
    source: ExportSource<'_>,
    format: TextFormat,
    num_threads: usize,
    budget: &ExportBudget,
) -> Result<Vec<Bytes>> {
    pieces::write(source, format, Threads::new(num_threads), budget)
}

/// Encodes a slice as an Arrow IPC stream with exactly one record batch. WASM builds never compress.
pub fn arrow(slice: &RowSlice, naming: Naming, compression: Compression) -> Result<Vec<u8>> {
    let (kept, budget) =
        ((None, MemoryAccount::unlimited().nothing(MemoryKind::Slices)), ExportBudget::unlimited());
    Ok(arrow::pieces(slice, naming, compression, kept, &budget)?.concat())
}

/// Encodes a slice like [`arrow`], as consecutive pieces, which keep the reservations of the memory that they share.
pub(crate) fn arrow_pieces(
    slice: &RowSlice,
    naming: Naming,
    compression: Compression,
    kept: (Option<MemoryReservation>, MemoryReservation),
    budget: &ExportBudget,
) -> Result<Vec<Bytes>> {
    arrow::pieces(slice, naming, compression, kept, budget)
}

/// Converts a slice to one record batch, text as `Utf8`.
pub(crate) fn plain_batch(slice: &RowSlice, naming: Naming) -> Result<RecordBatch> {
    arrow::plain_batch(slice, naming)
}
