//! Sums: `sum`, `sum or zero`, `abs sum` (the absolute value of the sum) and `sum abs` (the sum of absolute values).
//!
//! State: an exact [`Total`]. Cost: O(1) a row.

use super::sums::{Number, Total};
use super::{
    AcceptedTypes, Aggregate, AggregateFunction, AggregateInput, AggregateSignature, CellContext, CellRows,
    MenuEntry, Method, NO_MENU, OlderRules, OutputType, StateFunction, StatesOf, SumOfNothing,
};
use crate::types::scalar::Scalar;

/// An aggregate whose state is the sum of the cell's values. Implementing it implements [`StateFunction`].
pub(super) trait OverTotals: std::fmt::Debug + Send + Sync + 'static {
    /// Whether values are added without their sign.
    const IS_ABSOLUTE: bool = false;

    fn finish(aggregate: &Aggregate, totals: &[Total], cell: &dyn CellContext) -> Scalar;

    /// Returns the value that groups are sorted by.
    fn sort_value(aggregate: &Aggregate, totals: &[Total], cell: &dyn CellContext) -> Scalar {
        Self::finish(aggregate, totals, cell)
    }
}

impl<F: OverTotals> StateFunction for F {
    type State = Total;

    fn change(total: &mut Total, input: AggregateInput<'_>, slot: u32, sign: i32) {
        if let Some(value) = input.column().exact(slot) {
            total.change(if F::IS_ABSOLUTE { value.abs() } else { value }, sign);
        }
    }

    fn change_all(totals: &mut [Total], input: AggregateInput<'_>, rows: CellRows<'_>, sign: i32) {
        let mut cells = rows.indices();
        input.column().each_exact(rows.slots, |value: Option<Number>| {
            let cell = cells.next().expect("every row has a cell");
            if let Some(value) = value {
                totals[cell].change(if F::IS_ABSOLUTE { value.abs() } else { value }, sign);
            }
        });
    }

    fn merge(total: &mut Total, other: &Total) {
        total.merge(other);
    }

    fn finish(aggregate: &Aggregate, totals: &[Total], cell: &dyn CellContext) -> Scalar {
        <F as OverTotals>::finish(aggregate, totals, cell)
    }

    fn sort_value(aggregate: &Aggregate, totals: &[Total], cell: &dyn CellContext) -> Scalar {
        <F as OverTotals>::sort_value(aggregate, totals, cell)
    }
}

/// Returns the sum of a cell, which may be another one than that of `context`.
pub(super) fn plain_sum(
    aggregate: &Aggregate,
    totals: &[Total],
    cell: u32,
    context: &dyn CellContext,
) -> Scalar {
    let total = &totals[cell as usize];
    let is_null = match aggregate.sum_of_nothing {
        SumOfNothing::Null => true,
        SumOfNothing::Zero => context.num_rows(cell) == 0,
        SumOfNothing::ZeroWithoutRows => false,
    };
    match total.num_valid {
        0 if is_null => Scalar::Null,
        _ if aggregate.is_float() => Scalar::Float(total.float()),
        _ => Scalar::Int(total.integer()),
    }
}

#[derive(Debug)]
pub(super) struct Sum;

impl AggregateFunction for Sum {
    fn signature(&self) -> &'static AggregateSignature {
        &AggregateSignature {
            canonical: "sum",
            names: &["sum", "sum not null", "sum_not_null"],
            menu: &[MenuEntry { name: "sum", number: 10, ..NO_MENU }],
            has_argument: false,
            accepts: AcceptedTypes::Numbers,
            output: OutputType::Total,
        }
    }

    fn method(&self) -> Method {
        Method::States(StatesOf::<Sum>::boxed)
    }

    fn older_rules(&self, word: &str) -> OlderRules {
        match word {
            "sum not null" | "sum_not_null" => {
                OlderRules { sum_of_nothing: SumOfNothing::ZeroWithoutRows, canonical: Some("sum not null") }
            }
            _ => OlderRules { sum_of_nothing: SumOfNothing::Zero, canonical: None },
        }
    }
}

impl OverTotals for Sum {
    fn finish(aggregate: &Aggregate, totals: &[Total], cell: &dyn CellContext) -> Scalar {
        plain_sum(aggregate, totals, cell.cell(), cell)
    }
}

#[derive(Debug)]
pub(super) struct SumOrZero;

impl AggregateFunction for SumOrZero {
    fn signature(&self) -> &'static AggregateSignature {
        &AggregateSignature {
            canonical: "sum or zero",
            names: &["sum or zero"],
            menu: &[MenuEntry { name: "sum or zero", number: 280, ..NO_MENU }],
            has_argument: false,
            accepts: AcceptedTypes::Numbers,
            output: OutputType::Total,
        }
    }

    fn method(&self) -> Method {
        Method::States(StatesOf::<SumOrZero>::boxed)
    }
}

impl OverTotals for SumOrZero {
    fn finish(aggregate: &Aggregate, totals: &[Total], cell: &dyn CellContext) -> Scalar {
        let sum = plain_sum(aggregate, totals, cell.cell(), cell);
        if !sum.is_null() {
            sum
        } else if aggregate.is_float() {
            Scalar::Float(0.0)
        } else {
            Scalar::Int(0)
        }
    }
}

#[derive(Debug)]
pub(super) struct AbsSum;

impl AggregateFunction for AbsSum {
    fn signature(&self) -> &'static AggregateSignature {
        &AggregateSignature {
            canonical: "abs sum",
            names: &["abs sum"],
            menu: &[MenuEntry { name: "abs sum", number: 20, ..NO_MENU }],
            has_argument: false,
            accepts: AcceptedTypes::Numbers,
            output: OutputType::Total,
        }
    }

    fn method(&self) -> Method {
        Method::States(StatesOf::<AbsSum>::boxed)
    }

    fn older_rules(&self, _word: &str) -> OlderRules {
        OlderRules { sum_of_nothing: SumOfNothing::ZeroWithoutRows, canonical: None }
    }
}

impl OverTotals for AbsSum {
    fn finish(aggregate: &Aggregate, totals: &[Total], cell: &dyn CellContext) -> Scalar {
        let sum = plain_sum(aggregate, totals, cell.cell(), cell);
        if let Scalar::Int(value) = sum {
            Scalar::Int(value.saturating_abs())
        } else if let Scalar::Float(value) = sum {
            Scalar::Float(value.abs())
        } else {
            sum
        }
    }
}

#[derive(Debug)]
pub(super) struct SumAbs;

impl AggregateFunction for SumAbs {
    fn signature(&self) -> &'static AggregateSignature {
        &AggregateSignature {
            canonical: "sum abs",
            names: &["sum abs"],
            menu: &[MenuEntry { name: "sum abs", number: 270, ..NO_MENU }],
            has_argument: false,
            accepts: AcceptedTypes::Numbers,
            output: OutputType::Total,
        }
    }

    fn method(&self) -> Method {
        Method::States(StatesOf::<SumAbs>::boxed)
    }

    fn older_rules(&self, _word: &str) -> OlderRules {
        OlderRules { sum_of_nothing: SumOfNothing::ZeroWithoutRows, canonical: None }
    }
}

impl OverTotals for SumAbs {
    const IS_ABSOLUTE: bool = true;

    fn finish(aggregate: &Aggregate, totals: &[Total], cell: &dyn CellContext) -> Scalar {
        plain_sum(aggregate, totals, cell.cell(), cell)
    }
}
