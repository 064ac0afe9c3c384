//! One object of arrays.
//!
//! Law: the order of the keys is part of the format; the datagrid takes its column order from it.

use super::cell::Cells;
use super::format;
use super::identity::Identity;
use super::{JsonOptions, Window, WindowKind};
use crate::parallel::Threads;

pub(super) fn write(window: &Window, options: JsonOptions, threads: Threads) -> String {
    let identity = Identity::new(window, options);
    let mut object = Object { num_rows: window.num_rows, threads, out: String::new() };
    object.out.push('{');
    let is_flat = window.kind == WindowKind::Flat;
    if identity.has_path_in_columns() {
        object.member("__ROW_PATH__", |row, out| identity.write_path(row, out));
    }
    if options.id && !is_flat {
        object.member("__ID__", |row, out| identity.write_id(row, out));
    }
    for column in &window.columns {
        let cells = Cells::new(&column.values);
        object.member(&column.name, |row, out| cells.write_json(row, options.formatted, out));
    }
    if options.index {
        object.member("__INDEX__", |row, out| identity.write_index(row, out));
    }
    if options.id && is_flat {
        object.member("__ID__", |row, out| identity.write_id(row, out));
    }
    object.out.push('}');
    object.out
}

struct Object {
    num_rows: usize,
    threads: Threads,
    out: String,
}

impl Object {
    fn member(&mut self, name: &str, write_cell: impl Fn(usize, &mut String) + Sync) {
        let out = &mut self.out;
        if out.len() > 1 {
            out.push(',');
        }
        format::json_text(name, out);
        out.push_str(":[");
        let parts = self.threads.parts(self.num_rows, 1, |part| {
            let mut out = String::with_capacity(part.len() * super::BYTES_PER_CELL);
            for row in part {
                if row > 0 {
                    out.push(',');
                }
                write_cell(row, &mut out);
            }
            out
        });
        super::append(out, parts);
        out.push(']');
    }
}
