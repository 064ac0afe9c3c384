//! A view: one question about a table, answered once and kept in step by deltas.
//!
//! Law: stepping equals starting over. A view is a function of its plan and the table's snapshot; what belongs to one
//! client (which groups are open) is in its [`Handle`].

mod aggregate;
mod aggregate_state;
mod build;
mod cells;
mod column_only;
mod filter;
mod flat;
mod from_rows;
mod group_codes;
mod grouped;
mod groups;
mod handle;
mod min_max;
mod normalized_key;
mod plan;
mod product;
mod radix_sort;
mod sharing_key;
mod slice;
mod slot_bitmap;
mod sort;
mod sums;
#[cfg(test)]
mod tests;
mod tree;

use std::ops::Range;
use std::sync::Arc;

pub(crate) use groups::Groups;
pub use handle::Handle;
pub(crate) use plan::ParsedColumns;
pub use plan::Plan;
pub(crate) use plan::ViewKind;
pub use sharing_key::SharingKey;
pub use slice::ViewSlice;

use crate::error::Result;
use crate::export::{self, Compression, Naming, RowSlice, SliceColumn, WindowKind};
use crate::parallel::Threads;
use crate::storage::Snapshot;
use crate::storage::TableDelta;
use crate::types::scalar::Scalar;
use column_only::ColumnOnly;
use flat::Flat;
use grouped::Grouped;

/// The materialised answer, shared by everybody who asks the same.
#[derive(Debug)]
pub struct View(Shape);

#[derive(Debug)]
enum Shape {
    Flat(Box<Flat>),
    Grouped(Box<Grouped>),
    ColumnOnly(Box<ColumnOnly>),
}

/// What a step did to a view; enough to write the row delta.
#[derive(Debug, Clone, Default)]
pub struct ViewDelta {
    /// Slots of flat and column-only views, row nodes of grouped ones.
    changed: Vec<u32>,
}

impl ViewDelta {
    /// Joins what later steps did.
    pub fn merge_all<'a>(&mut self, later: impl IntoIterator<Item = &'a ViewDelta>) {
        for delta in later {
            self.changed.extend_from_slice(&delta.changed);
        }
        self.changed.sort_unstable();
        self.changed.dedup();
    }

    /// Rows that it names.
    pub fn len(&self) -> usize {
        self.changed.len()
    }

    pub fn is_empty(&self) -> bool {
        self.changed.is_empty()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dimensions {
    pub num_table_rows: usize,
    pub num_table_columns: usize,
    pub num_view_rows: usize,
    pub num_view_columns: usize,
}

/// Rows and columns of a view: absent bounds are open; bounds beyond the view are clamped.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Viewport {
    pub start_row: Option<u32>,
    pub end_row: Option<u32>,
    pub start_col: Option<u32>,
    pub end_col: Option<u32>,
}

/// What to cut from a view.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SliceOptions {
    pub viewport: Viewport,
    /// The window will be written with `__ID__`.
    pub id: bool,
    /// The window will be written with `__INDEX__`; costs a pass over the table for grouped views.
    pub index: bool,
}

impl View {
    /// One pass over the snapshot, on this thread alone.
    pub fn build(plan: Arc<Plan>, snapshot: &Snapshot) -> View {
        View::build_on(plan, snapshot, 1)
    }

    /// As [`View::build`], on up to `num_threads` threads, which end before this returns. The answer is the same.
    pub fn build_on(plan: Arc<Plan>, snapshot: &Snapshot, num_threads: usize) -> View {
        let threads = Threads::new(num_threads);
        View(match plan.kind {
            ViewKind::Flat => Shape::Flat(Box::new(Flat::build(plan, snapshot, threads))),
            ViewKind::Grouped => Shape::Grouped(Box::new(Grouped::build(plan, snapshot, threads))),
            ViewKind::ColumnOnly => Shape::ColumnOnly(Box::new(ColumnOnly::build(plan, snapshot, threads))),
        })
    }

    pub fn plan(&self) -> &Arc<Plan> {
        match &self.0 {
            Shape::Flat(view) => &view.plan,
            Shape::Grouped(view) => &view.plan,
            Shape::ColumnOnly(view) => &view.rows.plan,
        }
    }

    pub(crate) fn snapshot(&self) -> &Snapshot {
        match &self.0 {
            Shape::Flat(view) => &view.snapshot,
            Shape::Grouped(view) => &view.snapshot,
            Shape::ColumnOnly(view) => &view.rows.snapshot,
        }
    }

    /// The table version the view stands at.
    pub fn version(&self) -> u64 {
        self.snapshot().version()
    }

    /// Whether steps find out which rows of a grouped view changed; needed for row deltas, off at first.
    pub fn track_changes(&mut self, tracks: bool) {
        if let Shape::Grouped(view) = &mut self.0 {
            view.tracks_changes = tracks;
        }
    }

    /// Follows the table by one delta, which must begin where the view stands.
    pub fn step(&mut self, delta: &TableDelta) -> ViewDelta {
        assert_eq!(delta.from(), self.version(), "a view steps from the version it stands at");
        let changed = match &mut self.0 {
            Shape::Flat(view) => view.step(delta),
            Shape::Grouped(view) => view.step(delta),
            Shape::ColumnOnly(view) => view.step(delta),
        };
        ViewDelta { changed }
    }

    /// A fresh handle, opened to `group_by_depth` levels.
    pub fn handle(&self, group_by_depth: Option<u32>) -> Handle {
        Handle::new(group_by_depth)
    }

    pub fn dimensions(&mut self, handle: &mut Handle) -> Dimensions {
        let plan = self.plan().clone();
        let num_table_rows = self.snapshot().num_rows();
        let (num_view_rows, num_view_columns) = match &mut self.0 {
            Shape::Flat(view) => (view.len(), plan.columns.len()),
            Shape::Grouped(view) => (handle.num_visible(view), view.blocks().len() * plan.columns.len()),
            Shape::ColumnOnly(view) => (view.rows.len(), view.splits.blocks().len() * plan.columns.len()),
        };
        Dimensions {
            num_table_rows,
            num_table_columns: plan.num_table_columns,
            num_view_rows,
            num_view_columns,
        }
    }

    /// Chooses a window of the view as it is now.
    pub fn slice(&mut self, handle: &mut Handle, options: SliceOptions) -> ViewSlice {
        match &mut self.0 {
            Shape::Flat(view) => slice::flat(view, options),
            Shape::Grouped(view) => slice::grouped(view, handle, options),
            Shape::ColumnOnly(view) => slice::column_only(view, options),
        }
    }

    /// One list per split level plus one for the names; each inner list has one entry per shown column of `columns`
    /// (clamped).
    pub fn column_paths(&mut self, columns: Range<usize>) -> Vec<Vec<Scalar>> {
        let mut levels = match &mut self.0 {
            Shape::Flat(view) => {
                let name = |&column: &usize| Scalar::Str(view.plan.schema.field(column).name.clone());
                vec![view.plan.columns.iter().map(name).collect()]
            }
            Shape::Grouped(view) => slice::column_paths(view),
            Shape::ColumnOnly(view) => slice::column_paths(&mut view.splits),
        };
        for level in &mut levels {
            level.truncate(columns.end);
            level.drain(..columns.start.min(level.len()));
        }
        levels
    }

    /// The same as joined names, `1|a`.
    pub fn column_names(&mut self, columns: Range<usize>) -> Vec<Arc<str>> {
        let mut names: Vec<Arc<str>> = match &mut self.0 {
            Shape::Flat(view) => {
                view.plan.columns.iter().map(|&column| view.plan.schema.field(column).name.clone()).collect()
            }
            Shape::Grouped(view) => slice::column_names(view),
            Shape::ColumnOnly(view) => slice::column_names(&mut view.splits),
        };
        names.truncate(columns.end);
        names.drain(..columns.start.min(names.len()));
        names
    }

    /// The least and the greatest value of a column over the rows of the view; of pivots over the deepest visible rows.
    pub fn min_max(&mut self, handle: &mut Handle, column: &str) -> Result<(Scalar, Scalar)> {
        match &mut self.0 {
            Shape::Flat(view) => min_max::of_rows(view, column),
            Shape::ColumnOnly(view) => min_max::of_rows(&mut view.rows, column),
            Shape::Grouped(view) => min_max::of_groups(view, handle, column),
        }
    }

    /// Hides everything below a row; yields the number of rows hidden.
    pub fn collapse(&mut self, handle: &mut Handle, row: usize) -> u32 {
        match &mut self.0 {
            Shape::Grouped(view) => handle.collapse(view, row),
            Shape::Flat(_) | Shape::ColumnOnly(_) => 0,
        }
    }

    /// Shows a row's children; yields the number of rows shown.
    pub fn expand(&mut self, handle: &mut Handle, row: usize) -> u32 {
        match &mut self.0 {
            Shape::Grouped(view) => handle.expand(view, row),
            Shape::Flat(_) | Shape::ColumnOnly(_) => 0,
        }
    }

    /// Opens the levels `0..=depth`.
    pub fn set_depth(&mut self, handle: &mut Handle, depth: u32) {
        if let Shape::Grouped(view) = &mut self.0 {
            handle.set_depth(view, depth);
        }
    }

    /// The changed rows that `handle` shows, in view order, as an Arrow stream without key columns.
    pub fn row_delta(&mut self, handle: &mut Handle, delta: &ViewDelta) -> Result<Vec<u8>> {
        let window = match &mut self.0 {
            Shape::Flat(view) => {
                let slots = view.in_order(delta.changed.clone());
                slice::flat_window(view, &slots, &view.plan.columns, false)
            }
            Shape::ColumnOnly(view) => {
                let slots = view.rows.in_order(delta.changed.clone());
                slice::column_only_window(view, &slots, Viewport::default(), false)
            }
            Shape::Grouped(view) => {
                // Of a table that was cleared nothing is told, not even the total that became null.
                let is_empty = view.snapshot.num_rows() == 0;
                let nodes = if is_empty { Vec::new() } else { handle.visible_of(view, &delta.changed) };
                let mut window = slice::grouped_window(view, &nodes, Viewport::default());
                window.row_paths = None;
                window.kind = WindowKind::Flat;
                window
            }
        };
        export::arrow(&window, Naming::Machine, Compression::None)
    }
}

/// The removed keys of a table delta as the Arrow stream that subscribers of removals get.
pub fn removed_keys_arrow(delta: &TableDelta, index: &str) -> Result<Option<Vec<u8>>> {
    let Some(keys) = &delta.removed_keys else { return Ok(None) };
    let name: Arc<str> = index.into();
    let cells = delta.old.schema().index_of(index).map(|index| delta.old.column(index));
    let values = cells.map_or_else(|| keys.clone(), |cells| cells.shown(keys.clone()));
    let column = SliceColumn { name: name.clone(), readable_name: name, values };
    let window = RowSlice {
        kind: WindowKind::Flat,
        num_rows: keys.len(),
        columns: vec![column],
        row_paths: None,
        keys: None,
        member_keys: None,
    };
    export::arrow(&window, Naming::Machine, Compression::None).map(Some)
}
