//! Aligned tables for terminals.
//!
//! Invariant: a cell is one line, and no cell can move the cursor: control characters are escaped.

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Schema};
use arrow::error::ArrowError;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use comfy_table::{Cell, CellAlignment, ContentArrangement, Table};
use console::{measure_text_width, truncate_str};

/// The widest that a cell is shown.
const CELL_WIDTH: usize = 48;

/// Blanks between two columns.
const GAP: usize = 2;

/// On which side of its column a cell stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Align {
    Left,
    Right,
}

/// Lays out rows under their heads, each line with its end.
pub(super) fn aligned(heads: &[(String, Align)], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let mut table = Table::new();
    table.load_style(comfy_table::presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    let cell = |text: &str, align: Align| {
        Cell::new(text).set_alignment(match align {
            Align::Left => CellAlignment::Left,
            Align::Right => CellAlignment::Right,
        })
    };
    table.set_header(heads.iter().map(|(name, align)| cell(name, *align)));
    for row in rows {
        table.add_row(row.iter().zip(heads).map(|(text, (_, align))| cell(text, *align)));
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, GAP as u16));
    }
    table.lines().map(|line| format!("{}\n", line.trim_end())).collect()
}

/// Lays out batches. Columns that a terminal of this width has no room for are left out, and named as a number.
pub(super) fn batches(
    schema: &Schema,
    batches: &[RecordBatch],
    width: Option<usize>,
) -> Result<String, ArrowError> {
    let mut heads = Vec::new();
    let mut columns: Vec<Vec<String>> = Vec::new();
    let mut used = 0;
    for (position, field) in schema.fields().iter().enumerate() {
        let cells = cells(batches, position)?;
        let head = short(&printable(field.name()));
        let widest = cells.iter().map(|cell| measure_text_width(cell)).max().unwrap_or(0);
        used += widest.max(measure_text_width(&head)) + GAP;
        // The last column needs no gap; the first is shown in any terminal.
        if position > 0 && width.is_some_and(|width| used > width + GAP) {
            break;
        }
        let align = if is_number(field.data_type()) { Align::Right } else { Align::Left };
        heads.push((head, align));
        columns.push(cells);
    }
    let num_rows = batches.iter().map(RecordBatch::num_rows).sum();
    let row = |row: usize| columns.iter().map(|cells| cells[row].clone()).collect();
    let mut text = aligned(&heads, (0..num_rows).map(row));
    let hidden = schema.fields().len() - columns.len();
    if hidden > 0 {
        text.push_str(&format!("({hidden} columns more; --columns chooses)\n"));
    }
    Ok(text)
}

fn cells(batches: &[RecordBatch], position: usize) -> Result<Vec<String>, ArrowError> {
    let options = FormatOptions::new()
        .with_timestamp_format(Some("%Y-%m-%d %H:%M:%S%.3f"))
        .with_date_format(Some("%Y-%m-%d"));
    let mut cells = Vec::new();
    for batch in batches {
        let formatter = ArrayFormatter::try_new(batch.column(position), &options)?;
        for row in 0..batch.num_rows() {
            cells.push(short(&printable(&formatter.value(row).try_to_string()?)));
        }
    }
    Ok(cells)
}

fn is_number(data_type: &DataType) -> bool {
    data_type.is_numeric()
}

fn short(text: &str) -> String {
    truncate_str(text, CELL_WIDTH, "…").into_owned()
}

/// Escapes control characters.
pub(super) fn printable(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character.is_control() {
            true => out.extend(character.escape_default()),
            false => out.push(character),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Float64Array, StringArray};

    use super::*;

    fn batch() -> RecordBatch {
        let names: ArrayRef = Arc::new(StringArray::from(vec![Some("ann"), None, Some("a\n\u{1b}[2J")]));
        let prices: ArrayRef = Arc::new(Float64Array::from(vec![Some(1.5), Some(20.0), None]));
        RecordBatch::try_from_iter([("name", names), ("price", prices)]).unwrap()
    }

    #[test]
    fn numbers_stand_right_and_cells_stay_in_their_line() {
        let text = batches(&batch().schema(), &[batch()], None).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(
            lines,
            ["name          price", "ann             1.5", "               20.0", r"a\n\u{1b}[2J"]
        );
    }

    #[test]
    fn columns_that_do_not_fit_are_counted() {
        let text = batches(&batch().schema(), &[batch()], Some(15)).unwrap();
        assert!(text.starts_with("name\nann\n"), "{text}");
        assert!(text.ends_with("(1 columns more; --columns chooses)\n"));
    }
}
