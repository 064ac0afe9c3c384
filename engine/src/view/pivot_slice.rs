//! Slices of pivots whose cells are gathered piece by piece.
//!
//! Invariant: a pivot is a function of its plan and its snapshot, and both stay as they were, so that all pieces are of one
//! version, whatever is written meanwhile.
//!
//! Cost: the pivot is built again to gather the first piece, and kept for the next ones until [`PivotSlice::release`]; a
//! piece after that builds it once more. So a reader that stops holds the snapshot and no pivot.

use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use super::plan::Plan;
use super::slice::{SlicePiece, fitting};
use super::{Handle, SliceOptions, SliceSize, View, Viewport};
use crate::context::EngineContext;
use crate::error::Result;
use crate::export::{ExportBudget, RowSlice};
use crate::memory::{MemoryAccount, MemoryKind, MemoryReservation};
use crate::storage::Snapshot;

/// Rows and columns of a pivot at one version.
#[derive(Debug)]
pub(super) struct PivotSlice {
    plan: Arc<Plan>,
    snapshot: Snapshot,
    /// As the pivot was opened: no group was expanded or collapsed since.
    handle: Handle,
    options: SliceOptions,
    size: SliceSize,
    head: RowSlice,
    /// Of the slice.
    first_row: usize,
    num_threads: usize,
    /// The pivot, while it is kept. Taken by whoever gathers from it.
    built: Mutex<Option<(View, Handle)>>,
}

impl PivotSlice {
    /// `first_row`: that of the slice; `head`: the slice without rows.
    pub(super) fn new(
        view: &View,
        handle: Handle,
        options: SliceOptions,
        (first_row, size): (usize, SliceSize),
        head: RowSlice,
        num_threads: usize,
    ) -> PivotSlice {
        let (plan, snapshot) = (view.plan().clone(), view.snapshot().clone());
        let built = Mutex::default();
        PivotSlice { plan, snapshot, handle, options, size, head, first_row, num_threads, built }
    }

    pub(super) fn size(&self) -> &SliceSize {
        &self.size
    }

    /// The slice without rows.
    pub(super) fn head(&self) -> &RowSlice {
        &self.head
    }

    pub(super) fn release(&mut self) {
        self.built.get_mut().unwrap_or_else(PoisonError::into_inner).take();
    }

    /// As [`super::ViewSlice::piece`]. What texts take is known once they are gathered, so a piece of long ones is gathered,
    /// and then cut.
    pub(super) fn piece(
        &self,
        rows: Range<usize>,
        most_bytes: usize,
        budget: &ExportBudget,
    ) -> Result<SlicePiece> {
        let least_bytes =
            self.size.of_rows(1).gathered_bytes.saturating_sub(self.size.of_rows(0).gathered_bytes);
        let len = rows.len().min((most_bytes / least_bytes.max(1)).max(1));
        let expected = self.size.of_rows(len).gathered_bytes;
        let mut reservation = budget.begin(MemoryKind::Answers, expected)?;
        let gathered = self.rows(rows.start..rows.start + len, budget.memory())?;
        let (fitting, num_bytes) = fitting(&gathered, 0..len, most_bytes);
        reservation.grow_to(num_bytes as u64)?;
        let end = rows.start + fitting.end;
        let num_columns = gathered.columns.len();
        let rows = match fitting.end == len {
            true => gathered,
            false => gathered.slice(fitting, 0..num_columns),
        };
        Ok(SlicePiece { rows, end, reservation })
    }

    /// Gathers all cells.
    pub(super) fn gather(&self, memory: &MemoryAccount) -> Result<(RowSlice, MemoryReservation)> {
        let reservation = memory.reserve(MemoryKind::Slices, self.size.gathered_bytes as u64)?;
        let rows = self.rows(0..self.size.num_rows, memory)?;
        self.built.lock().unwrap_or_else(PoisonError::into_inner).take();
        Ok((rows, reservation))
    }

    fn rows(&self, rows: Range<usize>, memory: &MemoryAccount) -> Result<RowSlice> {
        let mut built = self.built.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut view, mut handle) = match built.take() {
            Some(kept) => kept,
            None => {
                let context = EngineContext {
                    threads: self.num_threads,
                    memory: memory.clone(),
                    ..EngineContext::default()
                };
                let view = View::build_within(self.plan.clone(), &self.snapshot, &context)?;
                (view, self.handle.clone())
            }
        };
        let row = |row: usize| u32::try_from(self.first_row + row).unwrap_or(u32::MAX);
        let viewport = Viewport {
            start_row: Some(row(rows.start)),
            end_row: Some(row(rows.end)),
            ..self.options.viewport
        };
        let gathered = view.slice(&mut handle, SliceOptions { viewport, ..self.options }).gather();
        *built = Some((view, handle));
        Ok(gathered)
    }
}
