//! The row identity: `__ROW_PATH__`, `__ID__` and `__INDEX__`.

use super::cell::CellWriter;
use super::{JsonOptions, RowSlice, WindowKind};

pub(super) struct Identity<'a> {
    slice: &'a RowSlice,
    formatted: bool,
    levels: Vec<CellWriter<'a>>,
    keys: Option<CellWriter<'a>>,
}

impl<'a> Identity<'a> {
    pub(super) fn new(slice: &'a RowSlice, options: JsonOptions) -> Identity<'a> {
        let levels = slice.row_paths.iter().flat_map(|paths| &paths.levels);
        Identity {
            slice,
            formatted: options.formatted,
            levels: levels.map(|(_, values)| CellWriter::new(values)).collect(),
            keys: slice.keys.as_ref().map(CellWriter::new),
        }
    }

    /// The single row of an ungrouped total has a row path in the row formats only.
    pub(super) fn has_path_in_rows(&self) -> bool {
        Identity::has_path_in_columns(self.slice) || self.slice.kind == (WindowKind::Total { split: false })
    }

    pub(super) fn has_path_in_columns(slice: &RowSlice) -> bool {
        slice.row_paths.is_some()
    }

    /// Writes the group values, outermost first; the total is `[]`.
    pub(super) fn write_path(&self, row: usize, out: &mut String) {
        let depth = match &self.slice.row_paths {
            Some(paths) => (paths.depths[row] as usize).min(self.levels.len()),
            None => 0,
        };
        out.push('[');
        for (level, cells) in self.levels[..depth].iter().enumerate() {
            if level > 0 {
                out.push(',');
            }
            cells.write_json(row, self.formatted, out);
        }
        out.push(']');
    }

    /// Writes the row's own key, or the path of a group.
    pub(super) fn write_id(&self, row: usize, out: &mut String) {
        match (self.slice.kind, &self.keys) {
            (WindowKind::Flat | WindowKind::ColumnOnly, Some(keys)) => {
                out.push('[');
                keys.write_json(row, self.formatted, out);
                out.push(']');
            }
            _ => self.write_path(row, out),
        }
    }

    /// Writes the keys of all table rows under the row.
    pub(super) fn write_index(&self, row: usize, out: &mut String) {
        match (&self.slice.member_keys, &self.keys) {
            (Some(members), _) => {
                let cells = CellWriter::new(&members[row]);
                out.push('[');
                for member in 0..members[row].len() {
                    if member > 0 {
                        out.push(',');
                    }
                    cells.write_json(member, self.formatted, out);
                }
                out.push(']');
            }
            (None, Some(_)) => self.write_id(row, out),
            (None, None) => out.push_str("[]"),
        }
    }
}
