//! Comma-separated values: group keys first, names and texts always quoted, nulls empty.
//!
//! Invariant: a null group and a subtotal have the same text; only JSON distinguishes them.

use std::ops::Range;

use super::cell::{CellWriter, Spelling};
use super::{Naming, RowSlice, format};

/// Writes the names, group keys first; nothing, not even a line end, if there is no column.
pub(super) fn header(slice: &RowSlice, naming: Naming) -> String {
    let levels = slice.row_paths.iter().flat_map(|paths| &paths.levels).enumerate();
    let levels = levels.map(|(level, (name, _))| naming.key(level, name));
    let names = levels.chain(slice.columns.iter().map(|column| naming.column(column).to_owned()));
    let mut out = String::new();
    for (position, name) in names.enumerate() {
        if position > 0 {
            out.push(',');
        }
        format::csv_text(&name, &mut out);
    }
    if !out.is_empty() {
        out.push('\n');
    }
    out
}

/// Encoder of the rows of one slice.
pub(super) struct CsvRowWriter<'a>(Vec<CellWriter<'a>>);

impl<'a> CsvRowWriter<'a> {
    pub(super) fn new(slice: &'a RowSlice) -> CsvRowWriter<'a> {
        let levels = slice.row_paths.iter().flat_map(|paths| &paths.levels).map(|(_, values)| values);
        let values = levels.chain(slice.columns.iter().map(|column| &column.values));
        CsvRowWriter(values.map(|values| CellWriter::spelled(values, Spelling::Csv)).collect())
    }

    pub(super) fn write(&self, rows: Range<usize>, out: &mut String) {
        for row in rows {
            for (position, cells) in self.0.iter().enumerate() {
                if position > 0 {
                    out.push(',');
                }
                cells.write_csv(row, out);
            }
            out.push('\n');
        }
    }
}
