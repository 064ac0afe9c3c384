//! A materialised view: the result of a plan over a table, kept up to date by deltas.
//!
//! Invariant: stepping equals rebuilding. A view is a function of its plan and the table's snapshot; the state of one
//! client (which groups are expanded) lives in its [`Handle`].

mod build;
mod cells;
mod column_only;
mod filter;
mod flat;
mod flat_slice;
mod group_codes;
mod grouped;
mod groups;
mod handle;
mod held_by_cells;
mod min_max;
mod pivot_slice;
mod plan;
mod sharing_key;
mod slice;
mod slice_size;
mod slice_stream;
mod slot_bitmap;
#[cfg(test)]
mod tests;
mod tree;
mod work;

use std::ops::Range;
use std::sync::Arc;

pub(crate) use filter::Filter;
pub(crate) use groups::Groups;
pub use handle::Handle;
pub(crate) use plan::ParsedColumns;
pub use plan::Plan;
pub(crate) use plan::ViewKind;
pub use sharing_key::SharingKey;
pub use slice::ViewSlice;
pub use slice_size::SliceSize;
pub use slice_stream::{ArrowStream, BatchStream, ReservedBatch, TextStream};

use crate::context::EngineContext;
use crate::error::Result;
use crate::export::{self, Compression, Naming, RowSlice, SliceColumn, WindowKind};
use crate::memory::{MemoryAccount, MemoryKind, MemoryReservation};
use crate::storage::Snapshot;
use crate::storage::TableDelta;
use crate::types::scalar::Scalar;
use column_only::ColumnOnly;
use flat::Flat;
use grouped::Grouped;
use pivot_slice::PivotSlice;

/// A materialised view, shared by all clients whose plans have the same sharing key.
#[derive(Debug)]
pub struct View {
    shape: Shape,
    /// Of what the view keeps; given back with it.
    memory: MemoryReservation,
}

#[derive(Debug)]
enum Shape {
    Flat(Box<Flat>),
    Grouped(Box<Grouped>),
    ColumnOnly(Box<ColumnOnly>),
}

/// The effect of one or more steps on a view, from which its row delta is written.
#[derive(Debug, Clone, Default)]
pub struct ViewDelta {
    /// Slots of flat and column-only views, row nodes of grouped ones.
    changed: Vec<u32>,
}

impl ViewDelta {
    /// Merges the effects of later steps into this one.
    pub fn merge_all<'a>(&mut self, later: impl IntoIterator<Item = &'a ViewDelta>) {
        for delta in later {
            self.changed.extend_from_slice(&delta.changed);
        }
        self.changed.sort_unstable();
        self.changed.dedup();
    }

    /// Returns the number of changed rows: slots of flat and column-only views, row nodes of grouped ones.
    pub fn len(&self) -> usize {
        self.changed.len()
    }

    /// Returns whether no row changed.
    pub fn is_empty(&self) -> bool {
        self.changed.is_empty()
    }
}

/// The size of a view and of its table, as reported to clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dimensions {
    /// Rows of the table.
    pub num_table_rows: usize,
    /// Columns of the table, without computed ones.
    pub num_table_columns: usize,
    /// Rows that the handle shows.
    pub num_view_rows: usize,
    /// Columns of the view, in all blocks of a split view.
    pub num_view_columns: usize,
}

/// A range of rows and columns of a view. Absent bounds are open; bounds beyond the view are clamped.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Viewport {
    /// First row.
    pub start_row: Option<u32>,
    /// Row past the last.
    pub end_row: Option<u32>,
    /// First column.
    pub start_col: Option<u32>,
    /// Column past the last.
    pub end_col: Option<u32>,
}

/// Selects a slice of a view.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SliceOptions {
    /// The rows and columns of the slice.
    pub viewport: Viewport,
    /// Whether the slice is exported with `__ID__`.
    pub id: bool,
    /// Whether the slice is exported with `__INDEX__`; may cost a pass over the table for grouped views.
    pub index: bool,
}

impl View {
    /// Builds the view in one pass over the snapshot, on the calling thread only and with unlimited memory.
    pub fn build(plan: Arc<Plan>, snapshot: &Snapshot) -> View {
        View::build_within(plan, snapshot, &EngineContext::default())
            .expect("an unlimited account refuses nothing")
    }

    /// Builds the view on as many scoped threads as the context allows; the result equals that of [`View::build`]. What
    /// it takes is reserved in the context's account step by step, as it becomes known, and what the view keeps stays
    /// reserved until it is dropped.
    ///
    /// # Errors
    ///
    /// The account refuses; nothing is kept.
    pub fn build_within(plan: Arc<Plan>, snapshot: &Snapshot, context: &EngineContext) -> Result<View> {
        let threads = context.threads();
        let mut memory = context.memory.nothing(MemoryKind::ViewBuilds);
        let shape = match plan.kind {
            ViewKind::Flat => Shape::Flat(Box::new(Flat::build(plan, snapshot, threads, &mut memory)?)),
            ViewKind::Grouped => {
                Shape::Grouped(Box::new(Grouped::build(plan, snapshot, threads, &mut memory)?))
            }
            ViewKind::ColumnOnly => {
                Shape::ColumnOnly(Box::new(ColumnOnly::build(plan, snapshot, threads, &mut memory)?))
            }
        };
        memory.settle_all();
        Ok(View { shape, memory })
    }

    /// Bytes that the view keeps, about. Cost: O(aggregates), amortized.
    fn kept_bytes(&mut self) -> usize {
        match &mut self.shape {
            Shape::Flat(view) => view.kept_bytes(),
            Shape::Grouped(view) => view.kept_bytes(),
            Shape::ColumnOnly(view) => view.rows.kept_bytes() + view.splits.kept_bytes(),
        }
    }

    /// Reserves what steps and reads have added to what the view keeps, in the account that it was built in: to be called
    /// after each batch of them. Cost: O(aggregates), amortized.
    ///
    /// # Errors
    ///
    /// The account refuses. The view is as it should be, and should be dropped.
    pub fn reserve_growth(&mut self) -> Result<()> {
        let kept = self.kept_bytes() as u64;
        Ok(self.memory.follow(kept)?)
    }

    /// Returns the plan of which this view is the result.
    pub fn plan(&self) -> &Arc<Plan> {
        match &self.shape {
            Shape::Flat(view) => &view.plan,
            Shape::Grouped(view) => &view.plan,
            Shape::ColumnOnly(view) => &view.rows.plan,
        }
    }

    pub(crate) fn snapshot(&self) -> &Snapshot {
        match &self.shape {
            Shape::Flat(view) => &view.snapshot,
            Shape::Grouped(view) => &view.snapshot,
            Shape::ColumnOnly(view) => &view.rows.snapshot,
        }
    }

    /// Returns the table version of the view.
    pub fn version(&self) -> u64 {
        self.snapshot().version()
    }

    /// Sets whether steps record the changed rows of a grouped view, which row deltas need. Off initially.
    pub fn track_changes(&mut self, tracks: bool) {
        if let Shape::Grouped(view) = &mut self.shape {
            view.tracks_changes = tracks;
        }
    }

    /// Advances the view by one delta.
    ///
    /// # Panics
    ///
    /// If the delta does not start at the view's version.
    pub fn step(&mut self, delta: &TableDelta) -> ViewDelta {
        assert_eq!(delta.from(), self.version(), "a view steps from its own version");
        let changed = match &mut self.shape {
            Shape::Flat(view) => view.step(delta),
            Shape::Grouped(view) => view.step(delta),
            Shape::ColumnOnly(view) => view.step(delta),
        };
        ViewDelta { changed }
    }

    /// Creates a handle, expanded to `group_by_depth` levels (all if absent).
    pub fn handle(&self, group_by_depth: Option<u32>) -> Handle {
        Handle::new(group_by_depth)
    }

    /// Returns the dimensions of the view as `handle` shows it.
    pub fn dimensions(&mut self, handle: &mut Handle) -> Dimensions {
        let plan = self.plan().clone();
        let num_table_rows = self.snapshot().num_rows();
        let (num_view_rows, num_view_columns) = match &mut self.shape {
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

    /// Whether its slices are gathered later, from a snapshot, and not when they are taken.
    pub fn is_flat(&self) -> bool {
        matches!(self.shape, Shape::Flat(_))
    }

    /// Gathers a slice of the view at its current version.
    pub fn slice(&mut self, handle: &mut Handle, options: SliceOptions) -> ViewSlice {
        match &mut self.shape {
            Shape::Flat(view) => slice::flat(view, options),
            Shape::Grouped(view) => slice::grouped(view, handle, options),
            Shape::ColumnOnly(view) => slice::column_only(view, options),
        }
    }

    /// A slice for a receiver that takes its rows piece by piece, on up to `num_threads` threads: they are gathered when they
    /// are taken, unless they are few, or cannot be gathered again because the view depends on more than its snapshot.
    pub fn slice_in_pieces(
        &mut self,
        handle: &mut Handle,
        options: SliceOptions,
        num_threads: usize,
    ) -> Option<ViewSlice> {
        if self.is_flat() {
            return Some(self.slice(handle, options));
        }
        let size = self.slice_size(handle, options);
        let remembers = self.plan().remembers_removed_rows();
        let handle_of_pieces = handle.as_opened().filter(|_| !remembers && !options.index)?;
        if size.gathered_bytes <= export::PIECE_BYTES {
            return None;
        }
        let first_row = options.viewport.start_row.map_or(0, |row| row as usize);
        let viewport = Viewport { start_row: Some(0), end_row: Some(0), ..options.viewport };
        let head = self.slice(handle, SliceOptions { viewport, ..options }).gather();
        let of_rows = (first_row, size);
        let pivot = PivotSlice::new(self, handle_of_pieces, options, of_rows, head, num_threads);
        Some(ViewSlice::of_pivot(pivot))
    }

    /// Returns the column paths: one list per split level plus one of column names. Each list has one entry per shown
    /// column in `columns` (clamped).
    pub fn column_paths(&mut self, columns: Range<usize>) -> Vec<Vec<Scalar>> {
        let mut levels = match &mut self.shape {
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

    /// Returns the column paths joined to names, as in `1|a`.
    pub fn column_names(&mut self, columns: Range<usize>) -> Vec<Arc<str>> {
        let mut names: Vec<Arc<str>> = match &mut self.shape {
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

    /// Returns the least and the greatest value of a column over the rows of the view; in a pivot, over the deepest
    /// visible rows.
    ///
    /// # Errors
    ///
    /// If the view has no such column.
    pub fn min_max(&mut self, handle: &mut Handle, column: &str) -> Result<(Scalar, Scalar)> {
        match &mut self.shape {
            Shape::Flat(view) => min_max::of_rows(view, column),
            Shape::ColumnOnly(view) => min_max::of_rows(&mut view.rows, column),
            Shape::Grouped(view) => min_max::of_groups(view, handle, column),
        }
    }

    /// Collapses a row and returns the number of rows hidden. Has no effect on views without groups.
    pub fn collapse(&mut self, handle: &mut Handle, row: usize) -> u32 {
        match &mut self.shape {
            Shape::Grouped(view) => handle.collapse(view, row),
            Shape::Flat(_) | Shape::ColumnOnly(_) => 0,
        }
    }

    /// Expands a row and returns the number of rows shown. Has no effect on views without groups.
    pub fn expand(&mut self, handle: &mut Handle, row: usize) -> u32 {
        match &mut self.shape {
            Shape::Grouped(view) => handle.expand(view, row),
            Shape::Flat(_) | Shape::ColumnOnly(_) => 0,
        }
    }

    /// Expands the levels `0..=depth` and collapses the deeper ones. Has no effect beyond the number of levels.
    pub fn set_depth(&mut self, handle: &mut Handle, depth: u32) {
        if let Shape::Grouped(view) = &mut self.shape {
            handle.set_depth(view, depth);
        }
    }

    /// Writes the changed rows that `handle` shows, in view order, as an Arrow stream without key columns.
    ///
    /// # Errors
    ///
    /// If the Arrow writer fails.
    pub fn row_delta(&mut self, handle: &mut Handle, delta: &ViewDelta) -> Result<Vec<u8>> {
        self.row_delta_within(handle, delta, &MemoryAccount::unlimited())
    }

    /// As [`View::row_delta`], with memory of this account.
    ///
    /// # Errors
    ///
    /// If there is no memory for the rows, or the Arrow writer fails.
    pub fn row_delta_within(
        &mut self,
        handle: &mut Handle,
        delta: &ViewDelta,
        memory: &MemoryAccount,
    ) -> Result<Vec<u8>> {
        // The gathered rows, and the stream.
        let reserve = |size: SliceSize| memory.reserve(MemoryKind::Answers, 2 * size.gathered_bytes as u64);
        let size = self.slice_size(handle, SliceOptions::default());
        let (rows, _reservation) = match &mut self.shape {
            Shape::Flat(view) => {
                let slots = view.in_order(delta.changed.clone());
                let reservation = reserve(size.of_rows(slots.len()))?;
                (flat_slice::flat_slice(view, &slots, &view.plan.columns, false), reservation)
            }
            Shape::ColumnOnly(view) => {
                let slots = view.rows.in_order(delta.changed.clone());
                let reservation = reserve(size.of_rows(slots.len()))?;
                (slice::column_only_slice(view, &slots, Viewport::default(), false), reservation)
            }
            Shape::Grouped(view) => {
                // A cleared table notifies nothing, not even the total that became null.
                let is_empty = view.snapshot.num_rows() == 0;
                let nodes = if is_empty { Vec::new() } else { handle.visible_of(view, &delta.changed) };
                let reservation = reserve(size.of_rows(nodes.len()))?;
                let mut rows = slice::grouped_slice(view, &nodes, Viewport::default());
                rows.row_paths = None;
                rows.kind = WindowKind::Flat;
                (rows, reservation)
            }
        };
        export::arrow(&rows, Naming::Machine, Compression::None)
    }
}

/// Writes the removed keys of a table delta as the Arrow stream that subscribers to removals receive; `None` if the
/// delta does not list removed keys.
///
/// # Errors
///
/// If the Arrow writer fails.
pub fn removed_keys_arrow(delta: &TableDelta, index: &str) -> Result<Option<Vec<u8>>> {
    let Some(keys) = &delta.removed_keys else { return Ok(None) };
    let name: Arc<str> = index.into();
    let cells = delta.old.schema().index_of(index).map(|index| delta.old.column(index));
    let values = cells.map_or_else(|| keys.clone(), |cells| cells.shown(keys.clone()));
    let column = SliceColumn { name: name.clone(), readable_name: name, values };
    let rows = RowSlice {
        kind: WindowKind::Flat,
        num_rows: keys.len(),
        columns: vec![column],
        row_paths: None,
        keys: None,
        member_keys: None,
    };
    export::arrow(&rows, Naming::Machine, Compression::None).map(Some)
}
