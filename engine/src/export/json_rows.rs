//! One object per row: as an array, or line by line (NDJSON).
//!
//! Invariant: every row has every key, in the same order.

use std::ops::Range;

use super::cell::CellWriter;
use super::format;
use super::identity::Identity;
use super::{JsonOptions, RowSlice, WindowKind};

const ROW_PATH_KEY: &str = "\"__ROW_PATH__\":";
const ID_KEY: &str = "\"__ID__\":";
const INDEX_KEY: &str = "\"__INDEX__\":";

/// Encoder of the rows of one slice.
pub(super) struct JsonRowWriter<'a> {
    identity: Identity<'a>,
    /// `,"name":`, escaped once; without the comma if it starts the row.
    columns: Vec<(String, CellWriter<'a>)>,
    options: JsonOptions,
    separator: char,
}

/// Whether rows would be empty objects, which are not written: a flat slice without columns and keys.
pub(super) fn is_bare(slice: &RowSlice, options: JsonOptions) -> bool {
    slice.columns.is_empty() && !options.id && !options.index && slice.kind == WindowKind::Flat
}

impl<'a> JsonRowWriter<'a> {
    pub(super) fn new(slice: &'a RowSlice, options: JsonOptions, separator: char) -> JsonRowWriter<'a> {
        let identity = Identity::new(slice, options);
        let is_first = !identity.has_path_in_rows() && !options.id && !options.index;
        let columns = slice.columns.iter().enumerate().map(|(position, column)| {
            let mut key = String::with_capacity(column.name.len() + 4);
            if position > 0 || !is_first {
                key.push(',');
            }
            format::json_text(&column.name, &mut key);
            key.push(':');
            (key, CellWriter::new(&column.values))
        });
        JsonRowWriter {
            identity: Identity::new(slice, options),
            columns: columns.collect(),
            options,
            separator,
        }
    }

    /// Writes a range of rows, each preceded by the separator except the very first (`has_first`).
    pub(super) fn write(&self, rows: Range<usize>, has_first: bool, out: &mut String) {
        for row in rows.clone() {
            if row > rows.start || !has_first {
                out.push(self.separator);
            }
            self.write_row(row, out);
        }
    }

    fn write_row(&self, row: usize, out: &mut String) {
        out.push('{');
        let mut separate = "";
        let mut key = |key: &str, out: &mut String| {
            out.push_str(std::mem::replace(&mut separate, ","));
            out.push_str(key);
        };
        if self.identity.has_path_in_rows() {
            key(ROW_PATH_KEY, out);
            self.identity.write_path(row, out);
        }
        if self.options.id {
            key(ID_KEY, out);
            self.identity.write_id(row, out);
        }
        if self.options.index {
            key(INDEX_KEY, out);
            self.identity.write_index(row, out);
        }
        for (key, cells) in &self.columns {
            out.push_str(key);
            cells.write_json(row, self.options.formatted, out);
        }
        out.push('}');
    }
}
