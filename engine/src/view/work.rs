//! Estimates of the work of steps and reads, in cells, before they are done.
//!
//! Invariant: an estimate changes nothing and is no less than the cells that are visited, up to a small factor: hosts
//! decide by it on which thread a view is stepped or read. It may be far too high, where values turn out to be known.
//!
//! Cost: O(levels + aggregates).

use super::{Handle, Shape, SliceOptions, View, Viewport};
use crate::aggregate::Method;
use crate::config::GroupRollupMode;
use crate::storage::TableDelta;
use crate::view::grouped::Grouped;

impl View {
    /// Estimates the work of [`View::step`], and of [`View::row_delta`] if the changed rows are written.
    pub fn step_work(&self, delta: &TableDelta, writes_rows: bool) -> usize {
        let num_changed = delta.num_rows();
        let plan = self.plan();
        let of_row = 1 + plan.row_order.terms.len() + plan.filter.columns().count();
        match &self.shape {
            Shape::Flat(_) => {
                let written = if writes_rows { plan.columns.len() } else { 0 };
                num_changed.saturating_mul(of_row + written)
            }
            Shape::ColumnOnly(view) => {
                let written = if writes_rows { num_shown_columns(&view.splits).min(num_changed) } else { 0 };
                num_changed.saturating_mul(of_row + plan.split_by.len() + written)
            }
            Shape::Grouped(view) => {
                let (rows, blocks) = (1 + plan.levels.len(), 1 + plan.split_by.len());
                let of_row = of_row + rows * blocks * (1 + plan.aggregates.len());
                let stepped = num_changed.saturating_mul(of_row);
                let written = if writes_rows {
                    let num_groups = num_changed.saturating_mul(rows).min(view.rows.num_rows());
                    num_groups.saturating_mul(1 + num_shown_columns(view)).saturating_add(rows_read(view))
                } else {
                    0
                };
                stepped.saturating_add(written)
            }
        }
    }

    /// Estimates the work of [`View::slice`]. The cells of a flat view are gathered when the slice is encoded.
    pub fn slice_work(&self, handle: &Handle, options: SliceOptions) -> usize {
        let Viewport { start_row, end_row, start_col, end_col } = options.viewport;
        let span = |start: Option<u32>, end: Option<u32>, len: usize| {
            end.map_or(len, |end| (end as usize).min(len)).saturating_sub(start.unwrap_or(0) as usize)
        };
        let cells = |num_rows: usize, num_columns: usize| {
            span(start_row, end_row, num_rows).saturating_mul(1 + span(start_col, end_col, num_columns))
        };
        match &self.shape {
            Shape::Flat(_) => 1,
            Shape::ColumnOnly(view) => {
                let num_columns = num_shown_columns(&view.splits);
                cells(view.rows.len(), num_columns).saturating_add(num_columns)
            }
            Shape::Grouped(view) => {
                let num_columns = num_shown_columns(view);
                let members = if options.index { view.snapshot.num_rows() } else { 0 };
                cells(view.rows.num_rows(), num_columns)
                    .saturating_add(num_columns)
                    .saturating_add(handle.visible_work(view))
                    .saturating_add(rows_read(view))
                    .saturating_add(members)
            }
        }
    }

    /// Estimates the work of finding the rows and columns that a handle shows.
    pub fn dimensions_work(&self, handle: &Handle) -> usize {
        match &self.shape {
            Shape::Flat(_) => 1,
            Shape::ColumnOnly(view) => view.splits.splits.num_rows(),
            Shape::Grouped(view) => view.splits.num_rows() + handle.visible_work(view),
        }
    }

    /// Estimates the work of expanding or collapsing a group: the visible rows are listed.
    pub fn listing_work(&self, handle: &Handle) -> usize {
        match &self.shape {
            Shape::Flat(_) | Shape::ColumnOnly(_) => 1,
            Shape::Grouped(view) => view.rows.num_rows() + handle.visible_work(view),
        }
    }

    /// Estimates the work of naming columns.
    pub fn names_work(&self) -> usize {
        let num_columns = match &self.shape {
            Shape::Flat(view) => view.plan.columns.len(),
            Shape::ColumnOnly(view) => num_shown_columns(&view.splits),
            Shape::Grouped(view) => num_shown_columns(view),
        };
        // Each is named by the values of all its levels.
        num_columns.saturating_mul(1 + self.plan().split_by.len())
    }

    /// Estimates the work of [`View::min_max`], of which the first two for a column read all rows.
    pub fn min_max_work(&self, handle: &Handle) -> usize {
        match &self.shape {
            Shape::Flat(_) | Shape::ColumnOnly(_) => self.snapshot().num_rows(),
            Shape::Grouped(view) => {
                view.rows.num_rows().saturating_add(handle.visible_work(view)).saturating_add(rows_read(view))
            }
        }
    }
}

/// Columns of a pivot in all blocks; some blocks may not be shown.
fn num_shown_columns(view: &Grouped) -> usize {
    let num_blocks = if view.plan.split_by.is_empty() { 1 } else { view.splits.num_rows() };
    num_blocks.saturating_mul(view.plan.columns.len())
}

/// The table's rows, once for each aggregate that may read them to compute a value.
fn rows_read(view: &Grouped) -> usize {
    let reads_rows = |method: Method| matches!(method, Method::Rows(_));
    let num_reading =
        view.plan.aggregates.iter().filter(|aggregate| reads_rows(aggregate.function.method())).count();
    view.snapshot.num_rows().saturating_mul(num_reading)
}

impl Handle {
    /// Estimates the work of listing the visible rows: none while all groups are expanded.
    fn visible_work(&self, view: &Grouped) -> usize {
        let is_listed = view.plan.group_mode == GroupRollupMode::Rollup && self.has_collapsed_groups(view);
        if is_listed { view.rows.num_rows() } else { 0 }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use crate::config::ViewConfig;
    use crate::data::{TableData, TableOptions};
    use crate::table::Table;
    use crate::view::{SliceOptions, View, Viewport};

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn wide_and_long_slices_and_steps_that_read_all_rows_are_recognized() {
        let num_rows = 2000;
        let texts: Vec<String> = (0..num_rows).map(|row| format!("\"text {row}\"")).collect();
        let groups = vec!["1"; num_rows].join(",");
        let data = format!("{{\"g\":[{groups}],\"s\":[{}]}}", texts.join(","));
        let mut table = Table::create(&TableData::Columns(data.into()), TableOptions::default()).unwrap();
        let view = |config: &ViewConfig, table: &mut Table| {
            let plan = Arc::new(table.plan_now(config).unwrap());
            View::build(plan, &table.snapshot())
        };
        let joined = ViewConfig {
            group_by: names(&["g"]),
            columns: Some(names(&["s"])),
            aggregates: [("s".to_owned(), vec!["join".to_owned()])].into_iter().collect(),
            ..ViewConfig::default()
        };
        let counted = ViewConfig {
            group_by: names(&["g"]),
            columns: Some(names(&["s"])),
            aggregates: [("s".to_owned(), vec!["count".to_owned()])].into_iter().collect(),
            ..ViewConfig::default()
        };
        let split = ViewConfig { split_by: names(&["s"]), ..counted.clone() };
        let all = SliceOptions::default();
        let of_first_row =
            SliceOptions { viewport: Viewport { end_row: Some(1), ..Viewport::default() }, ..all };

        let [joined, counted, split] = [joined, counted, split].map(|config| view(&config, &mut table));
        let flat = view(&ViewConfig::default(), &mut table);
        let work = |view: &View, options: SliceOptions| view.slice_work(&view.handle(None), options);
        assert!(work(&flat, all) < 10);
        assert!(work(&counted, all) < 10);
        assert!(work(&joined, of_first_row) >= num_rows, "a value is read from all rows");
        assert!(work(&split, of_first_row) >= num_rows, "a row has a cell for each split value");
        assert!(split.names_work() >= num_rows);

        let row = TableData::Rows(r#"[{"g":1,"s":"one more"}]"#.into());
        let delta = table.update(&row, 0).unwrap().unwrap();
        assert!(counted.step_work(&delta, true) < 50);
        assert!(joined.step_work(&delta, false) < 50);
        assert!(joined.step_work(&delta, true) >= num_rows);
        assert!(split.step_work(&delta, true) >= num_rows);
    }
}
