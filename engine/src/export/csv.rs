//! Comma separated values: group keys first, names and texts always quoted, nulls empty.
//!
//! Law: a null group and a subtotal look the same here; who must tell them apart reads JSON.

use super::cell::{Cells, Spelling};
use super::{Window, format};
use crate::parallel::Threads;

/// Nothing at all, not even line ends, when there is no column to write.
pub(super) fn write(window: &Window, threads: Threads) -> String {
    let levels = window.row_paths.iter().flat_map(|paths| &paths.levels);
    let columns: Vec<(&str, Cells<'_>)> = levels
        .map(|(name, values)| (&**name, Cells::spelled(values, Spelling::Csv)))
        .chain(
            window
                .columns
                .iter()
                .map(|column| (&*column.readable_name, Cells::spelled(&column.values, Spelling::Csv))),
        )
        .collect();
    let mut out = String::new();
    if columns.is_empty() {
        return out;
    }
    for (position, (name, _)) in columns.iter().enumerate() {
        if position > 0 {
            out.push(',');
        }
        format::csv_text(name, &mut out);
    }
    out.push('\n');
    let parts = threads.parts(window.num_rows, 1, |part| {
        let mut out = String::with_capacity(super::capacity(window, part.len()));
        for row in part {
            for (position, (_, cells)) in columns.iter().enumerate() {
                if position > 0 {
                    out.push(',');
                }
                cells.write_csv(row, &mut out);
            }
            out.push('\n');
        }
        out
    });
    super::append(&mut out, parts);
    out
}
