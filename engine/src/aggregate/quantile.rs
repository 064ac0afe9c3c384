//! Quartiles. Of the rows in ascending order, including nulls, which come first, the quartile `q` is element
//! `floor(n * q / 4)`; in float columns, if `n * q` is divisible by 4, the mean of that element and the one before.
//!
//! State of cells with many rows: their rows by value. Cost: O(log n) a row.

use super::ordered_rows::{ReadOrdered, num_low, num_nan, ordered};
use super::values::{canonical, cell_of};
use super::{
    AcceptedTypes, AggregateFunction, AggregateInput, AggregateSignature, CellRowOrder, MenuEntry, Method,
    OutputType, RowFunction, RowSet, RowState, StateCost,
};
use crate::column::Column;
use crate::sorted::OrderTree;
use crate::types::scalar::Scalar;
use crate::types::total_order::{of_value_order_key, value_order_key};

#[derive(Debug)]
pub(super) struct Quantile {
    signature: &'static AggregateSignature,
    rows: &'static Quarter,
}

/// The first, second or third quartile.
#[derive(Debug, Clone, Copy)]
struct Quarter(usize);

pub(super) const MEDIAN: Quantile = Quantile {
    rows: &Quarter(2),
    signature: &AggregateSignature {
        canonical: "median",
        names: &["median"],
        menu: &[MenuEntry { name: "median", number: 200, text: 100, time: 140, boolean: 0 }],
        has_argument: false,
        accepts: AcceptedTypes::Everything,
        output: OutputType::Input,
    },
};

pub(super) const Q1: Quantile = Quantile {
    rows: &Quarter(1),
    signature: &AggregateSignature {
        canonical: "q1",
        names: &["q1"],
        menu: &[MenuEntry { name: "q1", number: 220, text: 110, time: 150, boolean: 0 }],
        has_argument: false,
        accepts: AcceptedTypes::Everything,
        output: OutputType::Input,
    },
};

pub(super) const Q3: Quantile = Quantile {
    rows: &Quarter(3),
    signature: &AggregateSignature {
        canonical: "q3",
        names: &["q3"],
        menu: &[MenuEntry { name: "q3", number: 230, text: 120, time: 160, boolean: 0 }],
        has_argument: false,
        accepts: AcceptedTypes::Everything,
        output: OutputType::Input,
    },
};

impl AggregateFunction for Quantile {
    fn signature(&self) -> &'static AggregateSignature {
        self.signature
    }

    fn method(&self) -> Method {
        Method::Rows(self.rows)
    }
}

impl Quarter {
    /// Returns the position of the quartile among `len` rows, and whether it lies exactly between two.
    fn position(self, len: usize) -> (usize, bool) {
        (len * self.0 / 4, (len * self.0).is_multiple_of(4))
    }
}

impl RowFunction for Quarter {
    fn compute(&self, input: AggregateInput<'_>, cell: &RowSet<'_>) -> Scalar {
        let (column, rows) = (input.column(), cell.rows);
        if rows.is_empty() {
            return Scalar::Null;
        }
        let (at, is_between) = self.position(rows.len());
        if let Column::Float64(cells) = column {
            let mut keys = Vec::with_capacity(rows.len());
            cells.each(rows, |cell| keys.push(value_order_key(cell)));
            let (before, &mut middle, _) = keys.select_nth_unstable(at);
            let previous = if is_between { before.iter().max() } else { None };
            let value = match previous {
                None => of_value_order_key(middle),
                Some(&previous) => of_value_order_key(previous)
                    .zip(of_value_order_key(middle))
                    .map(|(previous, middle)| (previous + middle) / 2.0),
            };
            return value.map_or(Scalar::Null, |value| canonical(Scalar::Float(value)));
        }
        let mut rows = rows.to_vec();
        let (before, &mut middle, _) =
            rows.select_nth_unstable_by(at, |&left, &right| column.compare(left, right));
        if !matches!(column, Column::Float32(_)) || !is_between || before.is_empty() {
            return canonical(column.scalar(middle));
        }
        let previous = before.iter().copied().max_by(|&left, &right| column.compare(left, right));
        match (previous.and_then(|slot| column.number(slot)), column.number(middle)) {
            (Some(previous), Some(middle)) => canonical(Scalar::Float((previous + middle) / 2.0)),
            _ => Scalar::Null,
        }
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
        ordered(*self, input, rows)
    }
}

impl ReadOrdered for Quarter {
    /// The rows are in sort order; here nulls precede NaNs.
    fn read(&self, input: AggregateInput<'_>, rows: &OrderTree) -> Scalar {
        let column = input.column();
        if rows.is_empty() {
            return Scalar::Null;
        }
        let num_nan = num_nan(column, rows);
        let num_low = if num_nan == 0 { 0 } else { num_low(column, rows) };
        let at = |position: usize| {
            let swapped = match position {
                low if low < num_low - num_nan.min(num_low) => low + num_nan,
                low if low < num_low => low - (num_low - num_nan),
                other => other,
            };
            cell_of(column, rows.get(swapped))
        };
        let (position, is_between) = self.position(rows.len());
        let is_float = matches!(column, Column::Float32(_) | Column::Float64(_));
        if !is_float || !is_between || position == 0 {
            return canonical(at(position));
        }
        match (at(position - 1).as_f64(), at(position).as_f64()) {
            (Some(previous), Some(middle)) => canonical(Scalar::Float((previous + middle) / 2.0)),
            _ => Scalar::Null,
        }
    }
}
