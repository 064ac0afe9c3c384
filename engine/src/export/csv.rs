//! Comma separated values: group keys first, names and texts always quoted, nulls empty.
//!
//! Law: a null group and a subtotal look the same here; who must tell them apart reads JSON.

use super::cell::Cells;
use super::{Window, format};

/// Nothing at all, not even line ends, when there is no column to write.
pub(super) fn write(window: &Window) -> String {
    let levels = window.row_paths.iter().flat_map(|paths| &paths.levels);
    let columns: Vec<(&str, Cells<'_>)> = levels
        .map(|(name, values)| (&**name, Cells::new(values)))
        .chain(window.columns.iter().map(|column| (&*column.readable_name, Cells::new(&column.values))))
        .collect();
    let mut out = String::new();
    if columns.is_empty() {
        return out;
    }
    out.reserve(super::capacity(window));
    for (position, (name, _)) in columns.iter().enumerate() {
        if position > 0 {
            out.push(',');
        }
        format::csv_text(name, &mut out);
    }
    out.push('\n');
    for row in 0..window.num_rows {
        for (position, (_, cells)) in columns.iter().enumerate() {
            if position > 0 {
                out.push(',');
            }
            cells.write_csv(row, &mut out);
        }
        out.push('\n');
    }
    out
}
