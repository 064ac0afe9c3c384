//! Slices of flat views, gathered piece by piece.
//!
//! Invariant: it holds the snapshot and a clone of the order, which a writer that changes them copies.

use std::ops::Range;

use super::SliceOptions;
use super::flat::Flat;
use super::slice::clamp;
use crate::column::{Column, TextBytes};
use crate::export::{PIECE_BYTES, PIECE_CELLS, RowSlice, RowSource, SliceColumn, WindowKind};
use crate::parallel::Threads;
use crate::types::schema::Storage;

/// Rows and columns of a flat view at one version.
#[derive(Debug)]
pub(super) struct FlatSlice {
    view: Flat,
    start: usize,
    end: usize,
    columns: Vec<usize>,
    keys: bool,
}

impl FlatSlice {
    pub(super) fn new(view: &Flat, options: SliceOptions) -> FlatSlice {
        let viewport = options.viewport;
        let (start, end) = clamp(viewport.start_row, viewport.end_row, view.len());
        let (first, last) = clamp(viewport.start_col, viewport.end_col, view.plan.columns.len());
        let columns = view.plan.columns[first..last].to_vec();
        FlatSlice { view: view.clone(), start, end, columns, keys: options.id || options.index }
    }

    /// Bytes of the columns' names.
    pub(super) fn name_bytes(&self) -> usize {
        self.columns.iter().map(|&column| self.view.plan.schema.field(column).name.len()).sum()
    }

    /// An upper bound of the bytes of the texts in these cells. Cost: O(columns).
    pub(super) fn most_text_bytes(&self, rows: Range<usize>, shown: Range<usize>) -> usize {
        self.columns[shown].iter().fold(0_usize, |sum, &column| {
            let longest = self.view.snapshot.column(column).longest_text();
            sum.saturating_add(longest.saturating_mul(rows.len()))
        })
    }

    /// The bytes of the arrays that the cells are gathered into.
    pub(super) fn arrow_bytes(&self) -> usize {
        let num_rows = self.num_rows();
        let text = self.text_bytes(0..num_rows, 0..self.columns.len());
        let of_column = |cells: &Column| {
            let width = cells.storage().arrow().primitive_width().unwrap_or(4);
            // The dictionary of a text column grows, and so does the index of it.
            num_rows * width + num_rows / 8 + 12 * cells.num_texts().min(num_rows)
        };
        let cells: usize =
            self.columns.iter().map(|&column| of_column(self.view.snapshot.column(column))).sum();
        // The slots, too.
        num_rows * 4 + cells + text.distinct / 2 * 3
    }

    /// Gathers all cells.
    pub(super) fn gather_on(&self, threads: Threads) -> RowSlice {
        let slots = self.view.slots(self.start, self.end);
        let threads = if slots.len() < PIECE_CELLS { Threads::ONE } else { threads };
        flat_slice_on(&self.view, &slots, &self.columns, self.keys, threads)
    }
}

impl RowSource for FlatSlice {
    fn num_rows(&self) -> usize {
        self.end - self.start
    }

    fn num_columns(&self) -> usize {
        self.columns.len()
    }

    fn text_bytes(&self, rows: Range<usize>, shown: Range<usize>) -> TextBytes {
        let bound = self.most_text_bytes(rows.clone(), shown.clone());
        if bound <= PIECE_BYTES {
            return TextBytes { shown: bound, distinct: bound };
        }
        let texts: Vec<&Column> = self.columns[shown]
            .iter()
            .map(|&column| self.view.snapshot.column(column))
            .filter(|cells| cells.storage() == Storage::Utf8)
            .collect();
        let slots = self.view.slots(self.start + rows.start, self.start + rows.end);
        let mut sum = TextBytes::default();
        texts.iter().for_each(|cells| sum.add(cells.text_bytes(&slots)));
        sum
    }

    fn window(&self, rows: Range<usize>, shown: Range<usize>) -> RowSlice {
        let slots = self.view.slots(self.start + rows.start, self.start + rows.end);
        flat_slice(&self.view, &slots, &self.columns[shown], self.keys)
    }
}

pub(super) fn flat_slice(view: &Flat, slots: &[u32], columns: &[usize], keys: bool) -> RowSlice {
    flat_slice_on(view, slots, columns, keys, Threads::ONE)
}

fn flat_slice_on(view: &Flat, slots: &[u32], columns: &[usize], keys: bool, threads: Threads) -> RowSlice {
    let column = |column: usize| {
        let name = view.plan.schema.field(column).name.clone();
        SliceColumn {
            name: name.clone(),
            readable_name: name,
            values: {
                let cells = view.snapshot.column(column);
                cells.shown(cells.gather(slots))
            },
        }
    };
    RowSlice {
        kind: WindowKind::Flat,
        num_rows: slots.len(),
        columns: threads.deal(columns.to_vec(), column),
        row_paths: None,
        keys: keys.then(|| view.snapshot.keys(slots)),
        member_keys: None,
    }
}
