//! One object per row: as an array, or line by line (NDJSON).
//!
//! Law: every row has every key, in one order.

use super::cell::Cells;
use super::format;
use super::identity::Identity;
use super::{JsonOptions, Window, WindowKind};
use crate::parallel::Threads;

const ROW_PATH_KEY: &str = "\"__ROW_PATH__\":";
const ID_KEY: &str = "\"__ID__\":";
const INDEX_KEY: &str = "\"__INDEX__\":";

/// A flat window without columns and without keys has no rows to show: `[]`.
pub(super) fn write_array(window: &Window, options: JsonOptions, threads: Threads) -> String {
    let mut out = String::new();
    out.push('[');
    write_rows(window, options, ',', threads, &mut out);
    out.push(']');
    out
}

/// No line end after the last line; no rows, no text.
pub(super) fn write_lines(window: &Window, options: JsonOptions, threads: Threads) -> String {
    let mut out = String::new();
    write_rows(window, options, '\n', threads, &mut out);
    out
}

fn write_rows(window: &Window, options: JsonOptions, separator: char, threads: Threads, out: &mut String) {
    let identity = Identity::new(window, options);
    let has_path = identity.has_path_in_rows();
    let is_bare = window.columns.is_empty() && !options.id && !options.index;
    if is_bare && window.kind == WindowKind::Flat {
        return;
    }
    // `"name":`, escaped once.
    let columns: Vec<(String, Cells<'_>)> = window
        .columns
        .iter()
        .map(|column| {
            let mut key = String::with_capacity(column.name.len() + 3);
            format::json_text(&column.name, &mut key);
            key.push(':');
            (key, Cells::new(&column.values))
        })
        .collect();
    let write_row = |row: usize, out: &mut String| {
        if row > 0 {
            out.push(separator);
        }
        out.push('{');
        let mut separate = "";
        let mut key = |key: &str, out: &mut String| {
            out.push_str(std::mem::replace(&mut separate, ","));
            out.push_str(key);
        };
        if has_path {
            key(ROW_PATH_KEY, out);
            identity.write_path(row, out);
        }
        if options.id {
            key(ID_KEY, out);
            identity.write_id(row, out);
        }
        if options.index {
            key(INDEX_KEY, out);
            identity.write_index(row, out);
        }
        for (name, cells) in &columns {
            key(name, out);
            cells.write_json(row, options.formatted, out);
        }
        out.push('}');
    };
    let parts = threads.parts(window.num_rows, 1, |part| {
        let mut out = String::with_capacity(super::capacity(window, part.len()));
        part.for_each(|row| write_row(row, &mut out));
        out
    });
    super::append(out, parts);
}
