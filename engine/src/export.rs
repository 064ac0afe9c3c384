//! Window → bytes: JSON columns, JSON rows, NDJSON, CSV and Arrow.
//!
//! Law: a format knows nothing of tables or pivots; it writes a [`RowSlice`], which is cut already.

mod arrow;
mod cell;
mod csv;
mod format;
mod identity;
mod json_columns;
mod json_rows;
mod pieces;
#[cfg(test)]
mod tests;

/// A column as JSON cells; lists that become text are written by it too.
pub(crate) use cell::CellWriter as JsonCells;
pub use pieces::TextFormat;
pub(crate) use pieces::{ExportSource, PIECE_CELLS, RowSource};

use std::ops::Range;
use std::sync::Arc;

use ::arrow::array::{ArrayRef, RecordBatch};
use bytes::Bytes;

use crate::error::{EngineError, Result};
use crate::parallel::Threads;

/// The part of a view that was asked for, as Arrow arrays.
#[derive(Debug, Clone)]
pub struct RowSlice {
    pub kind: WindowKind,
    pub num_rows: usize,
    /// The visible columns inside the viewport, in view order. Text is `Dictionary<Int32, Utf8>`, codes in order of
    /// first appearance; every other type plain.
    pub columns: Vec<SliceColumn>,
    /// Grouped views: the group values of every row.
    pub row_paths: Option<RowPaths>,
    /// The rows' own keys; flat and column-only views, when asked for (`id` or `index`).
    pub keys: Option<ArrayRef>,
    /// Grouped views, when `index` is asked for: the keys of all table rows under each row.
    pub member_keys: Option<Vec<ArrayRef>>,
}

impl RowSlice {
    /// Some rows, and of them some columns; the cells are shared.
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

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WindowKind {
    Flat,
    /// Has row paths.
    Grouped,
    /// `split_by` without `group_by`.
    ColumnOnly,
    /// One row, no row path (`group_rollup_mode: total` without `group_by`); `split` when split.
    Total {
        split: bool,
    },
}

#[derive(Debug, Clone)]
pub struct SliceColumn {
    /// As in JSON: split values and column name joined with `|`.
    pub name: Arc<str>,
    /// As in CSV and Arrow: differs from `name` where a group column is shown as an aggregate, `g (count)`.
    pub readable_name: Arc<str>,
    pub values: ArrayRef,
}

/// The group values of each row of a grouped window.
#[derive(Debug, Clone)]
pub struct RowPaths {
    /// Depth of each row: 0 is the total.
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
    /// Dates and datetimes as text.
    pub formatted: bool,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Compression {
    #[default]
    None,
    Lz4,
    Zstd,
}

impl Compression {
    /// The word a client sends; absent and empty mean none. Spelling is exact.
    pub fn parse(word: Option<&str>) -> Result<Compression> {
        match word {
            None | Some("") => Ok(Compression::None),
            Some("lz4") => Ok(Compression::Lz4),
            Some("zstd") => Ok(Compression::Zstd),
            Some(other) => Err(EngineError::data(format!(
                "Unknown `compression` \"{other}\", expected \"lz4\" or \"zstd\""
            ))),
        }
    }
}

/// How key columns and aggregates are named in CSV and Arrow.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Naming {
    /// `g`, `g (count)`.
    #[default]
    Readable,
    /// `g (Group by 1)`, plain aggregates: what clients up to 5.5 show.
    Legacy,
    /// `__ROW_PATH_0__`, plain aggregates.
    Machine,
}

impl Naming {
    /// The name of the group column `name` on a level, counted from 0.
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

/// One object of arrays.
pub fn json_columns(window: &RowSlice, options: JsonOptions) -> String {
    text(window, TextFormat::JsonColumns(options))
}

/// An array of objects.
pub fn json_rows(window: &RowSlice, options: JsonOptions) -> String {
    text(window, TextFormat::JsonRows(options))
}

/// One object a line.
pub fn ndjson(window: &RowSlice, options: JsonOptions) -> String {
    text(window, TextFormat::Ndjson(options))
}

pub fn csv(window: &RowSlice, naming: Naming) -> String {
    text(window, TextFormat::Csv(naming))
}

fn text(window: &RowSlice, format: TextFormat) -> String {
    pieces::write(ExportSource::Whole(window), format, Threads::ONE).concat()
}

/// A text in pieces, to be written one behind the other, on up to `num_threads` threads, which end before this returns.
pub(crate) fn text_pieces(source: ExportSource<'_>, format: TextFormat, num_threads: usize) -> Vec<String> {
    pieces::write(source, format, Threads::new(num_threads))
}

/// An Arrow IPC stream with exactly one record batch. In a WASM build never compressed, whatever is asked.
pub fn arrow(window: &RowSlice, naming: Naming, compression: Compression) -> Result<Vec<u8>> {
    Ok(arrow::pieces(window, naming, compression)?.concat())
}

/// As [`arrow`], in pieces to be written one behind the other.
pub(crate) fn arrow_pieces(
    window: &RowSlice,
    naming: Naming,
    compression: Compression,
) -> Result<Vec<Bytes>> {
    arrow::pieces(window, naming, compression)
}

/// The window as one record batch, text as `Dictionary<Int32, Utf8>`.
pub fn record_batch(window: &RowSlice, naming: Naming) -> Result<RecordBatch> {
    arrow::batch(window, naming)
}
