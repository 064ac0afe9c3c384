//! Window → bytes: JSON columns, JSON rows, NDJSON, CSV and Arrow.
//!
//! Law: a format knows nothing of tables or pivots; it writes a [`Window`], which is cut already.

mod arrow;
mod cell;
mod csv;
mod format;
mod identity;
mod json_columns;
mod json_rows;
#[cfg(test)]
mod tests;

/// A column as JSON cells; lists that become text are written by it too.
pub(crate) use cell::Cells as JsonCells;

use std::sync::Arc;

use ::arrow::array::{ArrayRef, RecordBatch};

use crate::error::{EngineError, Result};
use crate::parallel::Threads;

/// The part of a view that was asked for, as Arrow arrays.
#[derive(Debug, Clone)]
pub struct Window {
    pub kind: WindowKind,
    pub num_rows: usize,
    /// The visible columns inside the viewport, in view order. Text is `Dictionary<Int32, Utf8>`, codes in order of
    /// first appearance; every other type plain.
    pub columns: Vec<WindowColumn>,
    /// Grouped views: the group values of every row.
    pub row_paths: Option<RowPaths>,
    /// The rows' own keys; flat and column-only views, when asked for (`id` or `index`).
    pub keys: Option<ArrayRef>,
    /// Grouped views, when `index` is asked for: the keys of all table rows under each row.
    pub member_keys: Option<Vec<ArrayRef>>,
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
pub struct WindowColumn {
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

/// How key columns and aggregates are named in Arrow.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Naming {
    /// `g`, `g (count)`.
    #[default]
    Readable,
    /// `__ROW_PATH_0__`, plain aggregates.
    Machine,
}

/// One object of arrays.
pub fn json_columns(window: &Window, options: JsonOptions) -> String {
    json_columns_on(window, options, 1)
}

/// An array of objects.
pub fn json_rows(window: &Window, options: JsonOptions) -> String {
    json_rows_on(window, options, 1)
}

/// One object a line.
pub fn ndjson(window: &Window, options: JsonOptions) -> String {
    ndjson_on(window, options, 1)
}

pub fn csv(window: &Window) -> String {
    csv_on(window, 1)
}

/// As [`json_columns`], on up to `num_threads` threads, which end before this returns. The text is the same.
pub fn json_columns_on(window: &Window, options: JsonOptions, num_threads: usize) -> String {
    json_columns::write(window, options, Threads::new(num_threads))
}

/// As [`json_rows`], on up to `num_threads` threads.
pub fn json_rows_on(window: &Window, options: JsonOptions, num_threads: usize) -> String {
    json_rows::write_array(window, options, Threads::new(num_threads))
}

/// As [`ndjson`], on up to `num_threads` threads.
pub fn ndjson_on(window: &Window, options: JsonOptions, num_threads: usize) -> String {
    json_rows::write_lines(window, options, Threads::new(num_threads))
}

/// As [`csv`], on up to `num_threads` threads.
pub fn csv_on(window: &Window, num_threads: usize) -> String {
    csv::write(window, Threads::new(num_threads))
}

/// An Arrow IPC stream with exactly one record batch. In a WASM build never compressed, whatever is asked.
pub fn arrow(window: &Window, naming: Naming, compression: Compression) -> Result<Vec<u8>> {
    arrow::write(window, naming, compression)
}

/// The window as one record batch, text as `Dictionary<Int32, Utf8>`.
pub fn record_batch(window: &Window, naming: Naming) -> Result<RecordBatch> {
    arrow::batch(window, naming)
}

/// A first guess at the bytes of a cell.
const BYTES_PER_CELL: usize = 12;

/// A first guess at the bytes of a text of some of a window's rows, so that its buffer grows once or never.
fn capacity(window: &Window, num_rows: usize) -> usize {
    64 + num_rows * (window.columns.len() + 1) * BYTES_PER_CELL
}

/// Puts texts behind each other.
fn append(out: &mut String, parts: Vec<String>) {
    // What closes the text finds room too.
    out.reserve(parts.iter().map(String::len).sum::<usize>() + 2);
    parts.iter().for_each(|part| out.push_str(part));
}
