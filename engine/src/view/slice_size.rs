//! How large a slice will be, before it is taken.
//!
//! Cost: O(columns), of a pivot also O(its split levels) for each; a slice of few columns looks at no other.

use super::grouped::Grouped;
use super::tree::{ROOT, Tree};
use super::{Handle, Shape, SliceOptions, View};
use crate::config::GroupRollupMode;
use crate::types::scalar::Scalar;

/// Bytes of a gathered column beside its cells: arrays, buffers, names.
const COLUMN_BYTES: usize = 400;
/// Bytes of a row of a pivot beside its cells: its path, and one column of values before they are an array.
const ROW_BYTES: usize = 2 * size_of::<Scalar>() + size_of::<Vec<Scalar>>();

/// The size of a slice.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SliceSize {
    /// Rows in the slice.
    pub num_rows: usize,
    /// Columns in the slice, without keys and paths.
    pub num_columns: usize,
    /// Bytes of the columns' names, or a few less.
    pub name_bytes: usize,
    /// Bytes that taking the slice allocates; 0 if its cells are gathered later, piece by piece.
    pub gathered_bytes: usize,
}

impl SliceSize {
    /// The size of a slice of the same columns with this many rows, whose cells are gathered at once.
    pub(super) fn of_rows(&self, num_rows: usize) -> SliceSize {
        let cells = num_rows.saturating_mul(self.num_columns);
        let columns = self.num_columns.saturating_mul(COLUMN_BYTES).saturating_add(2 * self.name_bytes);
        let gathered_bytes =
            cells.saturating_mul(9).saturating_add(num_rows * ROW_BYTES).saturating_add(columns);
        SliceSize { num_rows, gathered_bytes, ..*self }
    }

    /// The number of cells. A row's path and key count as one.
    pub fn num_cells(&self) -> usize {
        self.num_rows.saturating_mul(self.num_columns + 1)
    }
}

impl View {
    /// Returns the size of a slice.
    pub fn slice_size(&mut self, handle: &mut Handle, options: SliceOptions) -> SliceSize {
        let dimensions = self.dimensions(handle);
        let viewport = options.viewport;
        let span = |start: Option<u32>, end: Option<u32>, len: usize| {
            let end = end.map_or(len, |end| end as usize).min(len);
            start.map_or(0, |start| start as usize).min(end)..end
        };
        let num_rows = span(viewport.start_row, viewport.end_row, dimensions.num_view_rows).len();
        let columns = span(viewport.start_col, viewport.end_col, dimensions.num_view_columns);
        let num_columns = columns.len();
        let plan = self.plan().clone();
        let num_shown = plan.columns.len().max(1);
        let own_name = |position: usize| {
            plan.columns.get(position % num_shown).map_or(0, |&column| plan.schema.field(column).name.len())
        };
        let own_names: usize = columns.clone().map(own_name).sum();
        let prefixes = |splits: &Tree, blocks: &[u32]| -> usize {
            let mut last = (usize::MAX, 0);
            columns
                .clone()
                .map(|position| {
                    let block = position / num_shown;
                    if last.0 != block {
                        last = (block, blocks.get(block).map_or(0, |&block| prefix_bytes(splits, block)));
                    }
                    last.1
                })
                .sum()
        };
        let (name_bytes, row_bytes) = match &mut self.shape {
            Shape::Flat(_) => {
                return SliceSize { num_rows, num_columns, name_bytes: own_names, gathered_bytes: 0 };
            }
            Shape::Grouped(view) => {
                let blocks = view.blocks();
                (own_names.saturating_add(prefixes(&view.splits, &blocks)), row_bytes(view))
            }
            Shape::ColumnOnly(view) => {
                let blocks = view.splits.blocks();
                // Which blocks show a row is one byte each.
                let row_bytes = ROW_BYTES + 4 * (plan.split_by.len() + 1) + blocks.len();
                (own_names.saturating_add(prefixes(&view.splits.splits, &blocks)), row_bytes)
            }
        };
        let cells = num_rows.saturating_mul(num_columns);
        let keys = match options.index {
            // The keys of the rows under each row, at every level.
            true => dimensions.num_table_rows.saturating_mul(8 * (plan.group_by.len() + 1)),
            false => 0,
        };
        let gathered_bytes = cells
            .saturating_mul(8)
            .saturating_add(cells / 8)
            .saturating_add(num_columns.saturating_mul(COLUMN_BYTES))
            .saturating_add(name_bytes.saturating_mul(2))
            .saturating_add(num_rows.saturating_mul(row_bytes))
            .saturating_add(keys);
        SliceSize { num_rows, num_columns, name_bytes, gathered_bytes }
    }
}

fn row_bytes(view: &Grouped) -> usize {
    let levels = match view.plan.group_mode {
        GroupRollupMode::Total => 0,
        GroupRollupMode::Rollup | GroupRollupMode::Flat => view.plan.group_by.len(),
    };
    ROW_BYTES + levels * (2 * size_of::<Scalar>() + 8)
}

/// Bytes of a block's prefix in the names of its columns; texts are exact, other values count as one character.
fn prefix_bytes(splits: &Tree, block: u32) -> usize {
    let nodes = splits.ancestry(block).filter(|&node| node != ROOT);
    nodes.map(|node| 1 + text_len(&splits.node(node).value)).sum()
}

fn text_len(value: &Scalar) -> usize {
    match value {
        Scalar::Str(text) => text.len(),
        Scalar::Null
        | Scalar::Bool(_)
        | Scalar::Int(_)
        | Scalar::UInt(_)
        | Scalar::Float(_)
        | Scalar::Date(_)
        | Scalar::Datetime(_) => 1,
    }
}
