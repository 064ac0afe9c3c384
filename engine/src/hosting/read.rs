//! Reads of a view through a handle.

use super::{Answer, ColumnPaths, SliceFormat, SliceRequest, ViewRead};
use crate::error::Result;
use crate::export::{ExportBudget, JsonOptions, TextFormat};
use crate::memory::{MemoryAccount, MemoryKind};
use crate::view::{Handle, SliceOptions, SliceSize, View, ViewSlice};

impl ViewRead {
    /// Whether the read changes which rows the handle shows.
    pub fn changes_handle(&self) -> bool {
        match self {
            ViewRead::Collapse { .. } | ViewRead::Expand { .. } | ViewRead::SetDepth { .. } => true,
            ViewRead::Dimensions | ViewRead::ColumnPaths { .. } | ViewRead::MinMax { .. } => false,
        }
    }

    /// Estimates the work, in cells. Cost: O(levels).
    pub fn work(&self, view: &View, handle: &Handle) -> usize {
        match self {
            ViewRead::Dimensions => view.dimensions_work(handle),
            ViewRead::ColumnPaths { .. } => view.dimensions_work(handle).saturating_add(view.names_work()),
            ViewRead::MinMax { .. } => view.min_max_work(handle),
            ViewRead::Collapse { .. } | ViewRead::Expand { .. } | ViewRead::SetDepth { .. } => {
                view.listing_work(handle)
            }
        }
    }

    /// Executes the read.
    ///
    /// # Errors
    ///
    /// The view has no column of this name.
    pub fn answer(&self, view: &mut View, handle: &mut Handle) -> Result<Answer> {
        Ok(match self {
            ViewRead::Dimensions => Answer::Dimensions(view.dimensions(handle)),
            ViewRead::ColumnPaths { start_col, end_col } => {
                let num_columns = view.dimensions(handle).num_view_columns;
                let end = end_col.map_or(num_columns, |end| (end as usize).min(num_columns));
                let start = start_col.map_or(0, |start| (start as usize).min(end));
                let names = view.column_names(start..end);
                let levels = view.column_paths(start..end);
                Answer::ColumnPaths(ColumnPaths { names, levels })
            }
            ViewRead::MinMax { column } => {
                let (min, max) = view.min_max(handle, column)?;
                Answer::MinMax(min, max)
            }
            ViewRead::Collapse { row } => Answer::Collapsed(view.collapse(handle, *row as usize)),
            ViewRead::Expand { row } => Answer::Expanded(view.expand(handle, *row as usize)),
            ViewRead::SetDepth { depth } => {
                view.set_depth(handle, *depth);
                Answer::DepthSet
            }
        })
    }
}

impl SliceRequest {
    /// Estimates the work of taking the slice, in cells. Cost: O(levels).
    pub fn work(&self, view: &View, handle: &Handle) -> usize {
        view.slice_work(handle, self.options())
    }

    /// The size of the slice, before it is taken.
    pub fn size(&self, view: &mut View, handle: &mut Handle) -> SliceSize {
        view.slice_size(handle, self.options())
    }

    /// Takes the slice, with the rows' keys only if the format contains them. One that its receiver encodes is gathered on
    /// up to `num_threads` threads, when it is read.
    ///
    /// # Errors
    ///
    /// The account has no memory for its cells.
    pub fn take(
        &self,
        view: &mut View,
        handle: &mut Handle,
        memory: &MemoryAccount,
        num_threads: usize,
    ) -> Result<ViewSlice> {
        let options = self.options();
        if self.format == SliceFormat::Unencoded
            && let Some(slice) = view.slice_in_pieces(handle, options, num_threads)
        {
            return Ok(slice);
        }
        let bytes = match view.is_flat() {
            true => 0,
            false => view.slice_size(handle, options).gathered_bytes,
        };
        let reservation = memory.reserve(MemoryKind::Slices, bytes as u64)?;
        let mut slice = view.slice(handle, options);
        if bytes > 0 {
            slice.keep(reservation);
        }
        Ok(slice)
    }

    fn options(&self) -> SliceOptions {
        let json = match self.format {
            SliceFormat::Text(
                TextFormat::JsonColumns(options)
                | TextFormat::JsonRows(options)
                | TextFormat::Ndjson(options),
            ) => options,
            SliceFormat::Text(TextFormat::Csv(_)) | SliceFormat::Arrow { .. } | SliceFormat::Unencoded => {
                JsonOptions::default()
            }
        };
        SliceOptions { viewport: self.viewport, id: json.id, index: json.index }
    }
}

impl SliceFormat {
    /// The least number of bytes of a slice of this size in this format.
    pub fn least_bytes(self, size: &SliceSize) -> usize {
        let SliceSize { num_rows, num_columns, name_bytes, .. } = *size;
        let cells = num_rows.saturating_mul(num_columns);
        match self {
            // A name with quotes, a colon and a value.
            SliceFormat::Text(TextFormat::JsonRows(_) | TextFormat::Ndjson(_)) => {
                num_rows.saturating_mul(name_bytes.saturating_add(4 * num_columns))
            }
            // A value and a comma.
            SliceFormat::Text(TextFormat::JsonColumns(_)) => cells.saturating_mul(2),
            // A separator.
            SliceFormat::Text(TextFormat::Csv(_)) => cells,
            // A bit: the cell of a boolean.
            SliceFormat::Arrow { .. } | SliceFormat::Unencoded => cells / 8,
        }
    }

    /// Encodes a slice, on up to `num_threads` scoped threads.
    ///
    /// Cost: the pieces of a text are not copied, and those of an Arrow stream share the gathered arrays' memory.
    ///
    /// # Errors
    ///
    /// The reply exceeds its budget, or the Arrow writer fails.
    pub fn encode(self, slice: ViewSlice, num_threads: usize, budget: &ExportBudget) -> Result<Answer> {
        let pieces = match self {
            SliceFormat::Text(format) => slice.text(format, num_threads, budget)?,
            SliceFormat::Arrow { naming, compression } => {
                slice.arrow(naming, compression, num_threads, budget)?
            }
            SliceFormat::Unencoded => return Ok(Answer::Slice(Box::new(slice))),
        };
        Ok(Answer::Encoded(self, pieces))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::config::ViewConfig;
    use crate::data::{TableData, TableOptions};
    use crate::export::Naming;
    use crate::table::Table;
    use crate::view::{Plan, Viewport};

    fn view_of(rows: &'static str) -> View {
        let data = TableData::Rows(rows.into());
        let table = Table::create(&data, TableOptions::default()).unwrap();
        let plan = Plan::new(&ViewConfig::default(), table.schema()).unwrap();
        View::build(Arc::new(plan), &table.snapshot())
    }

    #[test]
    fn a_range_of_columns_is_cut_at_the_last_one() {
        let mut view = view_of(r#"[{"a":1,"b":2}]"#);
        let mut handle = view.handle(None);
        for (start_col, end_col, expected) in
            [(None, None, 2), (Some(1), Some(9), 1), (Some(5), None, 0), (Some(1), Some(0), 0)]
        {
            let read = ViewRead::ColumnPaths { start_col, end_col };
            let Ok(Answer::ColumnPaths(paths)) = read.answer(&mut view, &mut handle) else {
                panic!("names of columns")
            };
            assert_eq!(paths.names.len(), expected, "{read:?}");
        }
        let unknown = ViewRead::MinMax { column: "z".into() };
        assert!(unknown.answer(&mut view, &mut handle).is_err());
    }

    #[test]
    fn a_slice_is_one_command_whatever_its_format() {
        let mut view = view_of(r#"[{"a":1},{"a":2},{"a":3}]"#);
        let mut handle = view.handle(None);
        let viewport = Viewport { start_row: Some(1), end_row: Some(99), ..Viewport::default() };
        let request = SliceRequest { viewport, format: SliceFormat::Text(TextFormat::Csv(Naming::Readable)) };
        assert_eq!(request.size(&mut view, &mut handle).num_cells(), 4);
        let (memory, budget) = (MemoryAccount::unlimited(), ExportBudget::unlimited());
        let slice = request.take(&mut view, &mut handle, &memory, 1).unwrap();
        let Ok(Answer::Encoded(_, pieces)) = request.format.encode(slice, 1, &budget) else {
            panic!("a text")
        };
        assert_eq!(pieces.concat(), b"\"a\"\n2\n3\n");
        let request = SliceRequest { format: SliceFormat::Unencoded, ..request };
        let (memory, budget) = (MemoryAccount::unlimited(), ExportBudget::unlimited());
        let slice = request.take(&mut view, &mut handle, &memory, 1).unwrap();
        let Ok(Answer::Slice(slice)) = request.format.encode(slice, 1, &budget) else { panic!("a slice") };
        assert_eq!(slice.num_rows(), 2);
    }
}
