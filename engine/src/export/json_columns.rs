//! One object of arrays.
//!
//! Law: the order of the keys is part of the format; the datagrid takes its column order from it.

use std::ops::Range;

use super::cell::Cells;
use super::format;
use super::identity::Identity;
use super::{JsonOptions, Window, WindowKind};

/// One key of the object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Member {
    Path,
    Id,
    /// By its position in the window.
    Column(usize),
    Index,
}

impl Member {
    /// The object's keys in their order.
    pub(super) fn all(window: &Window, options: JsonOptions) -> Vec<Member> {
        let is_flat = window.kind == WindowKind::Flat;
        let mut members = Vec::with_capacity(window.columns.len() + 3);
        if Identity::has_path_in_columns(window) {
            members.push(Member::Path);
        }
        if options.id && !is_flat {
            members.push(Member::Id);
        }
        members.extend((0..window.columns.len()).map(Member::Column));
        if options.index {
            members.push(Member::Index);
        }
        if options.id && is_flat {
            members.push(Member::Id);
        }
        members
    }

    /// The key, and where the array begins.
    pub(super) fn begin(self, window: &Window, out: &mut String) {
        match self {
            Member::Path => out.push_str("\"__ROW_PATH__\""),
            Member::Id => out.push_str("\"__ID__\""),
            Member::Index => out.push_str("\"__INDEX__\""),
            Member::Column(position) => format::json_text(&window.columns[position].name, out),
        }
        out.push_str(":[");
    }
}

/// One member's cells in one window.
pub(super) enum Values<'a> {
    Cells(Cells<'a>),
    Identity(Member, Box<Identity<'a>>),
}

impl<'a> Values<'a> {
    /// `window` holds the member's column alone, if it is one.
    pub(super) fn new(member: Member, window: &'a Window, column: usize, options: JsonOptions) -> Values<'a> {
        match member {
            Member::Column(_) => Values::Cells(Cells::new(&window.columns[column].values)),
            _ => Values::Identity(member, Box::new(Identity::new(window, options))),
        }
    }

    /// Writes the cells of some rows of the window; before each but the first of all stands a comma.
    pub(super) fn write(&self, rows: Range<usize>, has_first: bool, options: JsonOptions, out: &mut String) {
        for row in rows.clone() {
            if row > rows.start || !has_first {
                out.push(',');
            }
            match self {
                Values::Cells(cells) => cells.write_json(row, options.formatted, out),
                Values::Identity(Member::Path, identity) => identity.write_path(row, out),
                Values::Identity(Member::Index, identity) => identity.write_index(row, out),
                Values::Identity(_, identity) => identity.write_id(row, out),
            }
        }
    }
}
