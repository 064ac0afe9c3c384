//! One object of arrays.
//!
//! Invariant: the order of the keys is part of the format: the datagrid takes its column order from it.

use std::ops::Range;

use super::cell::CellWriter;
use super::format;
use super::identity::Identity;
use super::{JsonOptions, RowSlice, WindowKind};

/// One key of the object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Member {
    Path,
    Id,
    /// A column, by its position in the slice.
    Column(usize),
    Index,
}

impl Member {
    /// The object's keys, in order.
    pub(super) fn all(slice: &RowSlice, options: JsonOptions) -> Vec<Member> {
        let is_flat = slice.kind == WindowKind::Flat;
        let mut members = Vec::with_capacity(slice.columns.len() + 3);
        if Identity::has_path_in_columns(slice) {
            members.push(Member::Path);
        }
        if options.id && !is_flat {
            members.push(Member::Id);
        }
        members.extend((0..slice.columns.len()).map(Member::Column));
        if options.index {
            members.push(Member::Index);
        }
        if options.id && is_flat {
            members.push(Member::Id);
        }
        members
    }

    /// The position of its column, if it is one.
    pub(super) fn column(self) -> Option<usize> {
        match self {
            Member::Column(position) => Some(position),
            Member::Path | Member::Id | Member::Index => None,
        }
    }

    /// Writes the key and the opening bracket of the array.
    pub(super) fn begin(self, slice: &RowSlice, out: &mut String) {
        match self {
            Member::Path => out.push_str("\"__ROW_PATH__\""),
            Member::Id => out.push_str("\"__ID__\""),
            Member::Index => out.push_str("\"__INDEX__\""),
            Member::Column(position) => format::json_text(&slice.columns[position].name, out),
        }
        out.push_str(":[");
    }
}

/// The cells of one member in one slice.
pub(super) enum MemberValues<'a> {
    CellWriter(CellWriter<'a>),
    Identity(Member, Box<Identity<'a>>),
}

impl<'a> MemberValues<'a> {
    /// Prepares the cells of a member; `column` is the position of the member's column in `slice`, if it is one.
    pub(super) fn new(
        member: Member,
        slice: &'a RowSlice,
        column: usize,
        options: JsonOptions,
    ) -> MemberValues<'a> {
        match member {
            Member::Column(_) => MemberValues::CellWriter(CellWriter::new(&slice.columns[column].values)),
            Member::Path | Member::Id | Member::Index => {
                MemberValues::Identity(member, Box::new(Identity::new(slice, options)))
            }
        }
    }

    /// Writes a range of cells, each preceded by a comma except the very first (`has_first`).
    pub(super) fn write(&self, rows: Range<usize>, has_first: bool, options: JsonOptions, out: &mut String) {
        for row in rows.clone() {
            if row > rows.start || !has_first {
                out.push(',');
            }
            match self {
                MemberValues::CellWriter(cells) => cells.write_json(row, options.formatted, out),
                MemberValues::Identity(Member::Path, identity) => identity.write_path(row, out),
                MemberValues::Identity(Member::Index, identity) => identity.write_index(row, out),
                MemberValues::Identity(_, identity) => identity.write_id(row, out),
            }
        }
    }
}
