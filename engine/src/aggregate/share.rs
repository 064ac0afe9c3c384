//! Shares: the sum as a percentage of the sum of the group above, or of the grand total.
//!
//! State: that of `sum`. Groups are sorted by their plain sum.

use super::sum::{OverTotals, plain_sum};
use super::sums::Total;
use super::{
    AcceptedTypes, Aggregate, AggregateFunction, AggregateSignature, CellContext, MenuEntry, Method, NO_MENU,
    OlderRules, OutputType, StatesOf, SumOfNothing,
};
use crate::types::scalar::Scalar;
use crate::types::schema::Storage;

const OLDER_RULES: OlderRules = OlderRules { sum_of_nothing: SumOfNothing::Zero, canonical: None };

fn percentage(
    aggregate: &Aggregate,
    totals: &[Total],
    whole: Option<u32>,
    context: &dyn CellContext,
) -> Scalar {
    let number = |cell| plain_sum(aggregate, totals, cell, context).as_f64();
    match (number(context.cell()), whole.and_then(number)) {
        (Some(part), Some(whole)) if whole != 0.0 => Scalar::Float(100.0 * part / whole),
        _ => Scalar::Null,
    }
}

#[derive(Debug)]
pub(super) struct PctSumParent;

impl AggregateFunction for PctSumParent {
    fn signature(&self) -> &'static AggregateSignature {
        &AggregateSignature {
            canonical: "pct sum parent",
            names: &["pct sum parent", "pct_sum_parent"],
            menu: &[MenuEntry { name: "pct sum parent", number: 240, ..NO_MENU }],
            has_argument: false,
            accepts: AcceptedTypes::Numbers,
            output: OutputType::Always(Storage::Float64),
        }
    }

    fn method(&self) -> Method {
        Method::States(StatesOf::<PctSumParent>::boxed)
    }

    fn older_rules(&self, _word: &str) -> OlderRules {
        OLDER_RULES
    }

    fn reads_other_groups(&self) -> bool {
        true
    }

    fn value_of_empty_table(&self, aggregate: &Aggregate, is_total: bool) -> Scalar {
        if is_total && is_older(aggregate) { Scalar::Float(100.0) } else { Scalar::Null }
    }
}

fn is_older(aggregate: &Aggregate) -> bool {
    aggregate.sum_of_nothing != SumOfNothing::Null
}

impl OverTotals for PctSumParent {
    fn finish(aggregate: &Aggregate, totals: &[Total], cell: &dyn CellContext) -> Scalar {
        if cell.is_total() {
            // For clients up to 5.5 the grand total is 100 % of itself, even if it is null or zero.
            if is_older(aggregate) {
                return Scalar::Float(100.0);
            }
            return percentage(aggregate, totals, Some(cell.cell()), cell);
        }
        percentage(aggregate, totals, cell.parent(), cell)
    }

    fn sort_value(aggregate: &Aggregate, totals: &[Total], cell: &dyn CellContext) -> Scalar {
        plain_sum(aggregate, totals, cell.cell(), cell)
    }
}

#[derive(Debug)]
pub(super) struct PctSumTotal;

impl AggregateFunction for PctSumTotal {
    fn signature(&self) -> &'static AggregateSignature {
        &AggregateSignature {
            canonical: "pct sum grand total",
            names: &["pct sum total", "pct_sum_total", "pct sum grand total", "pct_sum_grand_total"],
            menu: &[MenuEntry { name: "pct sum total", number: 250, ..NO_MENU }],
            has_argument: false,
            accepts: AcceptedTypes::Numbers,
            output: OutputType::Always(Storage::Float64),
        }
    }

    fn method(&self) -> Method {
        Method::States(StatesOf::<PctSumTotal>::boxed)
    }

    fn older_rules(&self, _word: &str) -> OlderRules {
        OLDER_RULES
    }

    fn reads_other_groups(&self) -> bool {
        true
    }
}

impl OverTotals for PctSumTotal {
    fn finish(aggregate: &Aggregate, totals: &[Total], cell: &dyn CellContext) -> Scalar {
        percentage(aggregate, totals, Some(cell.total()), cell)
    }

    fn sort_value(aggregate: &Aggregate, totals: &[Total], cell: &dyn CellContext) -> Scalar {
        plain_sum(aggregate, totals, cell.cell(), cell)
    }
}
