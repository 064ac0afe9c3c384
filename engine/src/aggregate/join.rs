//! The distinct values as text, ascending and separated by commas, up to a maximum length.
//!
//! State of cells with many rows: their rows by value. Cost: O(log n) a row; a read costs O(log n) a value shown.

use std::sync::Arc;

use hashbrown::HashMap;

use super::ordered_rows::{ReadOrdered, is_low, num_low, num_nan, ordered};
use super::{
    AcceptedTypes, AggregateFunction, AggregateInput, AggregateSignature, CellRowOrder, MenuEntry, Method,
    NO_MENU, OutputType, RowFunction, RowSet, RowState, StateCost,
};
use crate::column::Column;
use crate::sorted::OrderTree;
use crate::types::display::path_text;
use crate::types::scalar::Scalar;
use crate::types::schema::Storage;

/// Maximum length of the text, in bytes.
const JOIN_BYTES: usize = 280;

#[derive(Debug)]
pub(super) struct Join;

impl AggregateFunction for Join {
    fn signature(&self) -> &'static AggregateSignature {
        &AggregateSignature {
            canonical: "join",
            names: &["join"],
            menu: &[MenuEntry { name: "join", text: 70, ..NO_MENU }],
            has_argument: false,
            accepts: AcceptedTypes::Everything,
            output: OutputType::Always(Storage::Utf8),
        }
    }

    fn method(&self) -> Method {
        Method::Rows(&Join)
    }
}

impl RowFunction for Join {
    fn compute(&self, input: AggregateInput<'_>, cell: &RowSet<'_>) -> Scalar {
        let column = input.column();
        let mut distinct: HashMap<Option<u64>, u32, ahash::RandomState> = HashMap::default();
        for &slot in cell.rows {
            let first = distinct.entry(column.bits(slot)).or_insert(slot);
            // Zeros of both signs are one value with two texts; the first row by key decides.
            if column.number(slot) == Some(0.0) && input.snapshot.compare_keys(slot, *first).is_lt() {
                *first = slot;
            }
        }
        let mut slots: Vec<u32> = distinct.into_values().collect();
        slots.sort_unstable_by(|&left, &right| column.compare(left, right));
        joined(column, slots.into_iter())
    }

    fn state_cost(&self) -> StateCost {
        StateCost::Sorting
    }

    fn build_state(
        &self,
        input: AggregateInput<'_>,
        rows: &[u32],
        _order: CellRowOrder,
    ) -> Option<Box<dyn RowState>> {
        ordered(Join, input, rows)
    }
}

impl ReadOrdered for Join {
    /// Joins one row per distinct value, found by binary search from each value to the next; stops when the text is full.
    fn read(&self, input: AggregateInput<'_>, rows: &OrderTree) -> Scalar {
        let column = input.column();
        let (num_low, num_nan) = (num_low(column, rows), num_nan(column, rows));
        // In the result, null precedes NaN.
        let null = (num_low > num_nan).then(|| rows.get(num_nan)).flatten();
        let nan = (num_nan > 0).then(|| rows.get(0)).flatten();
        let mut next = num_low;
        let values = std::iter::from_fn(|| {
            let slot = rows.get(next)?;
            next = rows.partition_point(|other| is_low(column, other) || column.compare(other, slot).is_le());
            Some(slot)
        });
        joined(column, null.into_iter().chain(nan).chain(values))
    }
}

/// Joins the texts of `slots`, up to [`JOIN_BYTES`].
fn joined(column: &Column, slots: impl Iterator<Item = u32>) -> Scalar {
    let mut joined = String::new();
    for (position, slot) in slots.enumerate() {
        let text = path_text(&column.scalar(slot));
        let separator = if position == 0 { "" } else { ", " };
        if joined.len() + separator.len() + text.len() > JOIN_BYTES {
            break;
        }
        joined.push_str(separator);
        joined.push_str(&text);
    }
    Scalar::Str(Arc::from(joined))
}
