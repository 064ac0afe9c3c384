//! Slices: the requested part of a view, and its cells as Arrow arrays.
//!
//! Invariant: a slice is immutable and `Send`. For flat views it holds the snapshot and a clone of the order, so that a
//! worker thread can gather any number of rows while the view steps on; for pivots it holds the gathered cells, or, if
//! there are many and their receiver takes them piece by piece, the snapshot and the plan.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;

use super::column_only::ColumnOnly;
use super::flat::Flat;
use super::flat_slice::FlatSlice;
use super::grouped::Grouped;
use super::pivot_slice::PivotSlice;
use super::{Handle, SliceOptions, SliceSize, Viewport};
use crate::column::array;
use crate::config::GroupRollupMode;
use crate::error::Result;
use crate::export::{
    self, Compression, ExportBudget, ExportSource, Naming, PIECE_CELLS, RowPaths, RowSlice, RowSource,
    SliceColumn, TextFormat, WindowKind,
};
use crate::interrupt::checkpoint;
use crate::memory::{MemoryAccount, MemoryKind, MemoryReservation};
use crate::parallel::Threads;
use crate::types::display::path_text;
use crate::types::scalar::Scalar;
use crate::types::schema::Storage;
use arrow::array::ArrayRef;

/// The rows and columns of a view for one reply, at one version.
#[derive(Debug)]
pub struct ViewSlice {
    source: SliceSource,
    /// That of the memory of the gathered cells, if it is reserved.
    reservation: Option<MemoryReservation>,
}

#[derive(Debug)]
enum SliceSource {
    Ready(Box<RowSlice>),
    Flat(Box<FlatSlice>),
    Pivot(Box<PivotSlice>),
}

/// Some rows of a slice.
pub(super) struct SlicePiece {
    pub(super) rows: RowSlice,
    /// The row of the slice past the last.
    pub(super) end: usize,
    /// That of the rows' memory, texts written out.
    pub(super) reservation: MemoryReservation,
}

impl ViewSlice {
    /// A slice of a pivot whose cells are gathered piece by piece.
    pub(super) fn of_pivot(pivot: PivotSlice) -> ViewSlice {
        ViewSlice::new(SliceSource::Pivot(Box::new(pivot)))
    }

    /// Returns the number of rows in the slice.
    pub fn num_rows(&self) -> usize {
        match &self.source {
            SliceSource::Ready(rows) => rows.num_rows,
            SliceSource::Flat(flat) => flat.num_rows(),
            SliceSource::Pivot(pivot) => pivot.size().num_rows,
        }
    }

    /// The size of the slice: what it shows, and no memory.
    pub fn size(&self) -> SliceSize {
        let (num_columns, name_bytes) = match &self.source {
            SliceSource::Ready(rows) => {
                (rows.columns.len(), rows.columns.iter().map(|column| column.name.len()).sum())
            }
            SliceSource::Flat(flat) => (flat.num_columns(), flat.name_bytes()),
            SliceSource::Pivot(pivot) => (pivot.size().num_columns, pivot.size().name_bytes),
        };
        SliceSize { num_rows: self.num_rows(), num_columns, name_bytes, gathered_bytes: 0 }
    }

    /// Writes the slice as text, in consecutive pieces, on up to `num_threads` scoped threads. The cells of a flat view
    /// are gathered piece by piece.
    ///
    /// # Errors
    ///
    /// The text exceeds its budget.
    pub fn text(
        mut self,
        format: TextFormat,
        num_threads: usize,
        budget: &ExportBudget,
    ) -> Result<Vec<Bytes>> {
        self.gather_pivot(budget.memory())?;
        self.check_texts(budget)?;
        export::text_pieces(self.export_source(), format, num_threads, budget)
    }

    /// Refuses a slice whose texts alone exceed the limit, before any of them is written: a few bytes of a dictionary that many
    /// rows refer to can become any number. Cost: O(1), unless they could.
    pub(super) fn check_texts(&self, budget: &ExportBudget) -> Result<()> {
        let source = self.export_source();
        let (num_rows, num_columns) = (source.num_rows(), source.num_columns());
        if let ExportSource::Parts(_) = source
            && let SliceSource::Flat(flat) = &self.source
            && flat.most_text_bytes(0..num_rows, 0..num_columns) <= budget.limit_bytes()
        {
            return Ok(());
        }
        let mut shown = 0_usize;
        for start in (0..num_rows).step_by(PIECE_CELLS) {
            let rows = start..num_rows.min(start + PIECE_CELLS);
            shown = shown.saturating_add(source.text_bytes(rows, 0..num_columns).shown);
            budget.check(shown)?;
        }
        Ok(())
    }

    /// What encoders read; of a pivot that is not gathered, nothing.
    pub(super) fn export_source(&self) -> ExportSource<'_> {
        match &self.source {
            SliceSource::Ready(rows) => ExportSource::Whole(rows),
            SliceSource::Flat(flat) => ExportSource::Parts(flat.as_ref()),
            SliceSource::Pivot(pivot) => ExportSource::Whole(pivot.head()),
        }
    }

    /// Gathers the cells of a pivot that are not gathered yet, in memory of this account.
    ///
    /// # Errors
    ///
    /// It has none for them.
    pub(super) fn gather_pivot(&mut self, memory: &MemoryAccount) -> Result<()> {
        if let SliceSource::Pivot(pivot) = &self.source {
            let (rows, reservation) = pivot.gather(memory)?;
            *self = ViewSlice::new(SliceSource::Ready(Box::new(rows)));
            self.keep(reservation);
        }
        Ok(())
    }

    fn new(source: SliceSource) -> ViewSlice {
        ViewSlice { source, reservation: None }
    }

    /// Keeps the reservation of the gathered cells as long as the slice, or the arrays that it becomes.
    pub(crate) fn keep(&mut self, mut reservation: MemoryReservation) {
        if let SliceSource::Ready(rows) = &self.source {
            reservation.shrink_to(rows.memory() as u64);
        }
        reservation.settle_all();
        self.reservation = Some(reservation);
    }

    /// Writes the slice as an Arrow stream of one record batch, in consecutive pieces that share the gathered arrays'
    /// memory. Cells are gathered on up to `num_threads` scoped threads.
    ///
    /// # Errors
    ///
    /// The stream exceeds its budget, or the Arrow writer fails.
    pub fn arrow(
        mut self,
        naming: Naming,
        compression: Compression,
        num_threads: usize,
        budget: &ExportBudget,
    ) -> Result<Vec<Bytes>> {
        self.gather_pivot(budget.memory())?;
        let gathered = match &self.source {
            SliceSource::Ready(_) | SliceSource::Pivot(_) => 0,
            SliceSource::Flat(flat) => flat.arrow_bytes(),
        };
        let mut reservation = budget.memory().reserve(MemoryKind::Slices, gathered as u64)?;
        let ready = self.reservation.take();
        let rows = self.gather_on(Threads::new(num_threads));
        reservation.shrink_to(rows.memory() as u64);
        reservation.settle_all();
        export::arrow_pieces(&rows, naming, compression, (ready, reservation), budget)
    }

    /// Gathers as many of the rows as take up to `most_bytes`, their texts written out; at least one.
    ///
    /// # Errors
    ///
    /// The account has no memory for them, or for the pivot that they belong to.
    pub(super) fn piece(
        &self,
        rows: Range<usize>,
        most_bytes: usize,
        budget: &ExportBudget,
    ) -> Result<SlicePiece> {
        let mut piece = match &self.source {
            SliceSource::Ready(ready) => {
                let (rows, num_bytes) = fitting(ready.as_ref(), rows, most_bytes);
                let reservation = budget.begin(MemoryKind::Answers, num_bytes)?;
                let columns = 0..ready.columns.len();
                SlicePiece { end: rows.end, rows: ready.slice(rows, columns), reservation }
            }
            SliceSource::Flat(flat) => {
                let (rows, num_bytes) = fitting(flat.as_ref(), rows, most_bytes);
                let reservation = budget.begin(MemoryKind::Answers, num_bytes)?;
                let columns = 0..flat.num_columns();
                SlicePiece { end: rows.end, rows: flat.window(rows, columns), reservation }
            }
            SliceSource::Pivot(pivot) => pivot.piece(rows, most_bytes, budget)?,
        };
        piece.reservation.settle_all();
        Ok(piece)
    }

    /// The slice without its rows: kind and names.
    ///
    /// # Errors
    ///
    /// As [`ViewSlice::piece`].
    pub(super) fn head(&self) -> RowSlice {
        match &self.source {
            SliceSource::Ready(ready) => ready.slice(0..0, 0..ready.columns.len()),
            SliceSource::Flat(flat) => flat.window(0..0, 0..flat.num_columns()),
            SliceSource::Pivot(pivot) => pivot.head().clone(),
        }
    }

    /// Drops what the next piece can be gathered without: the state of a pivot, which is then built again.
    pub(super) fn release(&mut self) {
        match &mut self.source {
            SliceSource::Ready(_) | SliceSource::Flat(_) => {}
            SliceSource::Pivot(pivot) => pivot.release(),
        }
    }

    /// Gathers the cells, with unlimited memory.
    pub fn gather(self) -> RowSlice {
        self.gather_on(Threads::ONE)
    }

    fn gather_on(self, threads: Threads) -> RowSlice {
        match self.source {
            SliceSource::Ready(rows) => *rows,
            SliceSource::Flat(flat) => flat.gather_on(threads),
            SliceSource::Pivot(pivot) => {
                let (rows, _reservation) =
                    pivot.gather(&MemoryAccount::unlimited()).expect("an unlimited account refuses nothing");
                rows
            }
        }
    }
}

/// As many of the rows as take up to `most_bytes` when they are gathered and their texts written out, at least one; and
/// the bytes that they take.
pub(super) fn fitting(
    source: &dyn RowSource,
    rows: Range<usize>,
    most_bytes: usize,
) -> (Range<usize>, usize) {
    let num_columns = source.num_columns();
    let mut len = rows.len();
    loop {
        let fitting = rows.start..rows.start + len;
        let text = source.text_bytes(fitting.clone(), 0..num_columns);
        let cells = len.saturating_mul(4 + num_columns.saturating_mul(9));
        let num_bytes = cells.saturating_add(text.distinct).saturating_add(text.shown.saturating_mul(2));
        if num_bytes <= most_bytes || len <= 1 {
            return (fitting, num_bytes);
        }
        len /= 2;
    }
}

/// Clamps a range of rows or columns to `len`.
pub(super) fn clamp(start: Option<u32>, end: Option<u32>, len: usize) -> (usize, usize) {
    let end = end.map_or(len, |end| end as usize).min(len);
    let start = start.map_or(0, |start| start as usize).min(end);
    (start, end)
}

pub(super) fn flat(view: &Flat, options: SliceOptions) -> ViewSlice {
    ViewSlice::new(SliceSource::Flat(Box::new(FlatSlice::new(view, options))))
}

pub(super) fn column_only(view: &mut ColumnOnly, options: SliceOptions) -> ViewSlice {
    let (start, end) = clamp(options.viewport.start_row, options.viewport.end_row, view.rows.len());
    let slots = view.rows.slots(start, end);
    let rows = column_only_slice(view, &slots, options.viewport, options.id || options.index);
    ViewSlice::new(SliceSource::Ready(Box::new(rows)))
}

pub(super) fn column_only_slice(
    view: &mut ColumnOnly,
    slots: &[u32],
    viewport: Viewport,
    keys: bool,
) -> RowSlice {
    let placement = view.placement(slots);
    let plan = view.rows.plan.clone();
    let num_shown = plan.columns.len();
    let (first, last) = clamp(viewport.start_col, viewport.end_col, placement.len() * num_shown);
    let columns = (first..last)
        .map(|position| {
            checkpoint();
            let (block, is_here) = &placement[position / num_shown];
            let column = plan.columns[position % num_shown];
            let name: Arc<str> =
                format!("{}{}", prefix(&view.splits, *block), plan.schema.field(column).name).into();
            let cells = view.rows.snapshot.column(column);
            let values = cells.gather_optional(slots.len(), |row| is_here[row].then(|| slots[row]));
            let values = cells.shown(values);
            SliceColumn { name: name.clone(), readable_name: name, values }
        })
        .collect();
    RowSlice {
        kind: WindowKind::ColumnOnly,
        num_rows: slots.len(),
        columns,
        row_paths: None,
        keys: keys.then(|| view.rows.snapshot.keys(slots)),
        member_keys: None,
    }
}

pub(super) fn grouped(view: &mut Grouped, handle: &mut Handle, options: SliceOptions) -> ViewSlice {
    let num_rows = handle.num_visible(view);
    let (start, end) = clamp(options.viewport.start_row, options.viewport.end_row, num_rows);
    let nodes = handle.row_range(view, start, end);
    let mut rows = grouped_slice(view, &nodes, options.viewport);
    if options.index {
        let members = view.slots_under(&nodes);
        rows.member_keys = Some(members.iter().map(|slots| view.snapshot.keys(slots)).collect());
    }
    ViewSlice::new(SliceSource::Ready(Box::new(rows)))
}

pub(super) fn grouped_slice(view: &mut Grouped, nodes: &[u32], viewport: Viewport) -> RowSlice {
    let plan = view.plan.clone();
    let blocks = view.blocks();
    let num_shown = plan.columns.len();
    let (first, last) = clamp(viewport.start_col, viewport.end_col, blocks.len() * num_shown);
    let columns = (first..last)
        .map(|position| {
            let (block, shown) = (blocks[position / num_shown], position % num_shown);
            let prefix = prefix(view, block);
            let name = format!("{prefix}{}", plan.aggregates[shown].name).into();
            let readable_name = plan.readable_name(shown, &prefix).into();
            checkpoint();
            let values: Vec<Scalar> = nodes.iter().map(|&node| view.value(shown, node, block)).collect();
            let output = plan.aggregates[shown].output();
            let values = shown_array(view, plan.columns[shown], output, &values);
            SliceColumn { name, readable_name, values }
        })
        .collect();
    let is_bare_total = plan.group_by.is_empty();
    let kind = if is_bare_total {
        WindowKind::Total { split: !plan.split_by.is_empty() }
    } else {
        WindowKind::Grouped
    };
    RowSlice {
        kind,
        num_rows: nodes.len(),
        columns,
        row_paths: (!is_bare_total).then(|| row_paths(view, nodes)),
        keys: None,
        member_keys: None,
    }
}

fn row_paths(view: &Grouped, nodes: &[u32]) -> RowPaths {
    let paths: Vec<Vec<Scalar>> = nodes.iter().map(|&node| view.rows.path(node)).collect();
    let levels = view
        .plan
        .group_by
        .iter()
        .enumerate()
        .map(|(level, &column)| {
            let field = view.plan.schema.field(column);
            let values: Vec<Scalar> =
                paths.iter().map(|path| path.get(level).cloned().unwrap_or_default()).collect();
            (field.name.clone(), shown_array(view, column, field.storage, &values))
        })
        .collect();
    RowPaths { depths: paths.iter().map(|path| path.len() as u32).collect(), levels }
}

/// Returns the prefix of the column names of a block: the split values, each followed by `|`. The text `null` is quoted
/// where a sibling is the null value.
pub(super) fn prefix(view: &Grouped, block: u32) -> String {
    let mut nodes: Vec<u32> = view.splits.ancestry(block).collect();
    nodes.reverse();
    let mut prefix = String::new();
    for pair in nodes.windows(2) {
        let text = path_text(&view.splits.node(pair[1]).value);
        let is_ambiguous = text == "null" && !view.splits.node(pair[1]).value.is_null();
        match view.splits.child(pair[0], None) {
            Some(_) if is_ambiguous => prefix.push_str("\"null\""),
            _ => prefix.push_str(&text),
        }
        prefix.push('|');
    }
    prefix
}

/// Returns the names of all shown columns of a pivot, left to right.
pub(super) fn column_names(view: &mut Grouped) -> Vec<Arc<str>> {
    let plan = view.plan.clone();
    let blocks = view.blocks();
    let names = |&block: &u32| {
        let prefix = prefix(view, block);
        let names: Vec<Arc<str>> = plan
            .columns
            .iter()
            .map(|&column| format!("{prefix}{}", plan.schema.field(column).name).into())
            .collect();
        names
    };
    blocks.iter().flat_map(names).collect()
}

/// Returns one list per split level, one entry per shown column; levels below a subtotal block are null.
pub(super) fn column_paths(view: &mut Grouped) -> Vec<Vec<Scalar>> {
    let plan = view.plan.clone();
    let blocks = view.blocks();
    let mut levels = vec![Vec::new(); plan.split_by.len() + 1];
    for &block in blocks.iter() {
        let path = view.splits.path(block);
        for &column in &plan.columns {
            for (level, values) in levels[..plan.split_by.len()].iter_mut().enumerate() {
                values.push(path.get(level).cloned().unwrap_or_default());
            }
            levels[plan.split_by.len()].push(Scalar::Str(plan.schema.field(column).name.clone()));
        }
    }
    levels
}

/// Returns whether a grouped view shows only its leaves.
pub(super) fn is_flat_mode(view: &Grouped) -> bool {
    view.plan.group_mode == GroupRollupMode::Flat
}

/// Computed values of a column, stored as `storage`, as an array in the type clients see.
fn shown_array(view: &Grouped, column: usize, storage: Storage, values: &[Scalar]) -> ArrayRef {
    let values = array(storage, values);
    match storage {
        Storage::Integer => view.snapshot.column(column).shown(values),
        Storage::Int8
        | Storage::Int16
        | Storage::Int32
        | Storage::Int64
        | Storage::UInt8
        | Storage::UInt16
        | Storage::UInt32
        | Storage::UInt64
        | Storage::Float32
        | Storage::Float64
        | Storage::Bool
        | Storage::Utf8
        | Storage::Date32
        | Storage::TimestampMs => values,
    }
}
