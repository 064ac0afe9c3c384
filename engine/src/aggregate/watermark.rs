//! Water marks: the highest and the lowest value that a cell ever had. Null is no mark; NaN is one only until there is a
//! number.
//!
//! State: the mark. Removing a row retracts nothing, so a view opened later may differ. Cost: O(1) a row.

use super::values::is_nan;
use super::{
    AcceptedTypes, Aggregate, AggregateFunction, AggregateInput, AggregateSignature, CellContext, MenuEntry,
    Method, NO_MENU, OutputType, StateFunction, StatesOf,
};
use crate::types::scalar::Scalar;

/// Moves a mark to `value` if that `is_beyond` it.
fn raise(mark: &mut Scalar, value: Scalar, is_beyond: impl Fn(&Scalar, &Scalar) -> bool) {
    let is_beyond = !is_nan(&value) && (is_nan(mark) || is_beyond(&value, mark));
    if !value.is_null() && (mark.is_null() || is_beyond) {
        *mark = value;
    }
}

#[derive(Debug)]
pub(super) struct High;

impl AggregateFunction for High {
    fn signature(&self) -> &'static AggregateSignature {
        &AggregateSignature {
            canonical: "high water mark",
            names: &["high", "high water mark"],
            menu: &[MenuEntry { name: "high", number: 110, time: 80, ..NO_MENU }],
            has_argument: false,
            accepts: AcceptedTypes::Everything,
            output: OutputType::Input,
        }
    }

    fn method(&self) -> Method {
        Method::States(StatesOf::<High>::boxed)
    }

    fn remembers_removed_rows(&self) -> bool {
        true
    }
}

impl StateFunction for High {
    type State = Scalar;

    fn change(mark: &mut Scalar, input: AggregateInput<'_>, slot: u32, sign: i32) {
        if sign > 0 {
            raise(mark, input.column().scalar(slot), |value, mark| value > mark);
        }
    }

    fn merge(mark: &mut Scalar, other: &Scalar) {
        raise(mark, other.clone(), |value, mark| value > mark);
    }

    fn finish(_aggregate: &Aggregate, marks: &[Scalar], cell: &dyn CellContext) -> Scalar {
        marks[cell.cell() as usize].clone()
    }
}

#[derive(Debug)]
pub(super) struct Low;

impl AggregateFunction for Low {
    fn signature(&self) -> &'static AggregateSignature {
        &AggregateSignature {
            canonical: "low water mark",
            names: &["low", "low water mark"],
            menu: &[MenuEntry { name: "low", number: 120, time: 90, ..NO_MENU }],
            has_argument: false,
            accepts: AcceptedTypes::Everything,
            output: OutputType::Input,
        }
    }

    fn method(&self) -> Method {
        Method::States(StatesOf::<Low>::boxed)
    }

    fn remembers_removed_rows(&self) -> bool {
        true
    }
}

impl StateFunction for Low {
    type State = Scalar;

    fn change(mark: &mut Scalar, input: AggregateInput<'_>, slot: u32, sign: i32) {
        if sign > 0 {
            raise(mark, input.column().scalar(slot), |value, mark| value < mark);
        }
    }

    fn merge(mark: &mut Scalar, other: &Scalar) {
        raise(mark, other.clone(), |value, mark| value < mark);
    }

    fn finish(_aggregate: &Aggregate, marks: &[Scalar], cell: &dyn CellContext) -> Scalar {
        marks[cell.cell() as usize].clone()
    }
}
