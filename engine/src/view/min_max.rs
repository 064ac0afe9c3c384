//! The range of a column, for colour scales and axes.
//!
//! Law: null and NaN do not count; without any value both ends are null.

use super::Handle;
use super::cut::is_flat_mode;
use super::flat::Flat;
use super::grouped::Grouped;
use crate::error::{EngineError, Result};
use crate::scalar::Scalar;

/// Any column of the table, over the rows that pass the filter.
pub(super) fn of_rows(view: &Flat, name: &str) -> Result<(Scalar, Scalar)> {
    let column = view.plan.schema.index_of(name).ok_or_else(|| unknown(name))?;
    let cells = view.snapshot.column(column);
    let mut range = Range::default();
    for slot in view.slots(0, view.len()) {
        range.add(cells.scalar(slot));
    }
    Ok(range.ends())
}

/// A shown or sort column, over all blocks of the deepest visible rows; the total never counts.
pub(super) fn of_groups(view: &mut Grouped, handle: &mut Handle, name: &str) -> Result<(Scalar, Scalar)> {
    let plan = view.plan.clone();
    let aggregate =
        plan.aggregates.iter().position(|aggregate| *aggregate.name == *name).ok_or_else(|| unknown(name))?;
    let rows = handle.visible(view);
    let deepest = rows.iter().map(|&node| view.rows.node(node).depth).max().unwrap_or(0);
    let blocks = view.blocks();
    let mut range = Range::default();
    if deepest > 0 || is_flat_mode(view) {
        for &node in rows.iter().filter(|&&node| view.rows.node(node).depth == deepest).collect::<Vec<_>>() {
            for &block in blocks.iter() {
                range.add(view.value(aggregate, node, block));
            }
        }
    }
    Ok(range.ends())
}

fn unknown(name: &str) -> EngineError {
    EngineError::config(format!(
        "Could not find column index for `{name}` as it does not exist in the schema.\n"
    ))
}

#[derive(Default)]
struct Range {
    ends: Option<(Scalar, Scalar)>,
}

impl Range {
    fn add(&mut self, value: Scalar) {
        if value.is_null() || matches!(value, Scalar::Float(value) if value.is_nan()) {
            return;
        }
        match &mut self.ends {
            None => self.ends = Some((value.clone(), value)),
            Some((least, _)) if value < *least => *least = value,
            Some((_, greatest)) if value > *greatest => *greatest = value,
            Some(_) => {}
        }
    }

    fn ends(self) -> (Scalar, Scalar) {
        self.ends.unwrap_or_default()
    }
}
