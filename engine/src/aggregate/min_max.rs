//! Extremes: `max`, `min` and their difference, `high minus low`.
//!
//! Values are compared in value order ([`crate::types::total_order`]): null is the least value, so one null makes the
//! minimum null. NaN is the result only if there is nothing else (nothing but nulls, for the maximum).
//!
//! State of cells with many rows: their rows by value. Cost: O(log n) a row; a cached extreme follows a row that is not
//! the extreme itself in O(1).

use std::cmp::Ordering;

use super::ordered_rows::{ReadOrdered, num_nan, ordered};
use super::values::{canonical, cell_of, difference, is_nan, is_nan_cell};
use super::{
    AcceptedTypes, AggregateFunction, AggregateInput, AggregateSignature, CellRowOrder, CellRows, MenuEntry,
    Method, NO_MENU, OutputType, RowFunction, RowSet, RowState, StateCost,
};
use crate::column::Column;
use crate::sorted::OrderTree;
use crate::types::scalar::Scalar;
use crate::types::total_order::{of_value_order_key, value_order_key};

/// Returns the greatest or the least cell.
fn extreme(column: &Column, rows: &[u32], wanted: Ordering) -> Scalar {
    if let Column::Float64(cells) = column {
        // Keys below 2 are null and NaN.
        let (mut least, mut least_number, mut greatest) = (u64::MAX, u64::MAX, 0);
        cells.each(rows, |cell| {
            let key = value_order_key(cell);
            least = least.min(key);
            least_number = least_number.min(if key < 2 { u64::MAX } else { key });
            greatest = greatest.max(key);
        });
        let best = match wanted {
            Ordering::Greater => greatest,
            Ordering::Less | Ordering::Equal if least == 0 || least_number == u64::MAX => least,
            Ordering::Less | Ordering::Equal => least_number,
        };
        let best = if rows.is_empty() { None } else { of_value_order_key(best) };
        return best.map_or(Scalar::Null, |best| canonical(Scalar::Float(best)));
    }
    if matches!(column, Column::Float32(_) | Column::Str(..) | Column::UInt64(_)) {
        let best = rows.iter().copied().reduce(|best, slot| {
            match (is_nan_cell(column, best), is_nan_cell(column, slot)) {
                (true, false) if wanted == Ordering::Less => slot,
                (false, true) => best,
                (true | false, true | false) if column.compare(slot, best) == wanted => slot,
                (true | false, true | false) => best,
            }
        });
        return canonical(cell_of(column, best));
    }
    // The bits of all other types ascend with the values.
    let (mut best, mut row): (Option<(Option<i64>, usize)>, usize) = (None, 0);
    column.each_bits(rows, |bits| {
        let value = bits.map(|bits| bits as i64);
        if best.is_none_or(|(best, _)| value.cmp(&best) == wanted) {
            best = Some((value, row));
        }
        row += 1;
    });
    best.map_or(Scalar::Null, |(_, row)| column.scalar(rows[row]))
}

/// Null is the least value; NaN is returned only if there is nothing else.
fn least_of(input: AggregateInput<'_>, rows: &OrderTree) -> Scalar {
    match num_nan(input.column(), rows) {
        all if all == rows.len() => cell_of(input.column(), rows.get(0)),
        first => canonical(cell_of(input.column(), rows.get(first))),
    }
}

/// NaN if there are only nulls and NaNs.
fn greatest_of(input: AggregateInput<'_>, rows: &OrderTree) -> Scalar {
    match cell_of(input.column(), rows.get(rows.len().saturating_sub(1))) {
        value if value.is_null() => cell_of(input.column(), rows.get(0)),
        value => canonical(value),
    }
}

/// Updates cached extremes; `inner` is how the value of a row that does not matter compares to the extreme.
fn update_extremes(
    values: &mut [Option<Scalar>],
    input: AggregateInput<'_>,
    rows: CellRows<'_>,
    sign: i32,
    inner: Ordering,
) {
    let column = input.column();
    for (slot, cell) in rows.iter() {
        let Some(known) = values[cell].take() else { continue };
        let value = column.scalar(slot);
        // Null may also mean that there were no rows.
        if is_nan(&known) || is_nan(&value) || known.is_null() {
            continue;
        }
        values[cell] = match value.cmp(&known) {
            order if order == inner => Some(known),
            Ordering::Equal => (sign > 0).then_some(known),
            Ordering::Less | Ordering::Greater => (sign > 0).then_some(value),
        };
    }
}

#[derive(Debug)]
pub(super) struct Max;

impl AggregateFunction for Max {
    fn signature(&self) -> &'static AggregateSignature {
        &AggregateSignature {
            canonical: "max",
            names: &["max"],
            menu: &[MenuEntry { name: "max", number: 130, time: 110, ..NO_MENU }],
            has_argument: false,
            accepts: AcceptedTypes::Everything,
            output: OutputType::Input,
        }
    }

    fn method(&self) -> Method {
        Method::Rows(&Max)
    }
}

impl RowFunction for Max {
    fn compute(&self, input: AggregateInput<'_>, cell: &RowSet<'_>) -> Scalar {
        extreme(input.column(), cell.rows, Ordering::Greater)
    }

    fn update_cached(
        &self,
        values: &mut [Option<Scalar>],
        input: AggregateInput<'_>,
        rows: CellRows<'_>,
        sign: i32,
    ) {
        update_extremes(values, input, rows, sign, Ordering::Less);
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
        ordered(Max, input, rows)
    }
}

impl ReadOrdered for Max {
    fn read(&self, input: AggregateInput<'_>, rows: &OrderTree) -> Scalar {
        greatest_of(input, rows)
    }
}

#[derive(Debug)]
pub(super) struct Min;

impl AggregateFunction for Min {
    fn signature(&self) -> &'static AggregateSignature {
        &AggregateSignature {
            canonical: "min",
            names: &["min"],
            menu: &[MenuEntry { name: "min", number: 140, time: 100, ..NO_MENU }],
            has_argument: false,
            accepts: AcceptedTypes::Everything,
            output: OutputType::Input,
        }
    }

    fn method(&self) -> Method {
        Method::Rows(&Min)
    }
}

impl RowFunction for Min {
    fn compute(&self, input: AggregateInput<'_>, cell: &RowSet<'_>) -> Scalar {
        extreme(input.column(), cell.rows, Ordering::Less)
    }

    fn update_cached(
        &self,
        values: &mut [Option<Scalar>],
        input: AggregateInput<'_>,
        rows: CellRows<'_>,
        sign: i32,
    ) {
        update_extremes(values, input, rows, sign, Ordering::Greater);
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
        ordered(Min, input, rows)
    }
}

impl ReadOrdered for Min {
    fn read(&self, input: AggregateInput<'_>, rows: &OrderTree) -> Scalar {
        least_of(input, rows)
    }
}

#[derive(Debug)]
pub(super) struct HighMinusLow;

impl AggregateFunction for HighMinusLow {
    fn signature(&self) -> &'static AggregateSignature {
        &AggregateSignature {
            canonical: "high minus low",
            names: &["high minus low", "high minuslow"],
            menu: &[MenuEntry { name: "high minus low", number: 150, ..NO_MENU }],
            has_argument: false,
            accepts: AcceptedTypes::Everything,
            output: OutputType::Input,
        }
    }

    fn method(&self) -> Method {
        Method::Rows(&HighMinusLow)
    }
}

impl RowFunction for HighMinusLow {
    fn compute(&self, input: AggregateInput<'_>, cell: &RowSet<'_>) -> Scalar {
        let at = |wanted| extreme(input.column(), cell.rows, wanted);
        difference(&at(Ordering::Greater), &at(Ordering::Less))
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
        ordered(HighMinusLow, input, rows)
    }
}

impl ReadOrdered for HighMinusLow {
    fn read(&self, input: AggregateInput<'_>, rows: &OrderTree) -> Scalar {
        difference(&greatest_of(input, rows), &least_of(input, rows))
    }
}
