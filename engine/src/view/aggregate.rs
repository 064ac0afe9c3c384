//! The aggregates: names, types, and how each is kept.
//!
//! Law: sum-like aggregates ([`super::sums`]) are kept per cell and take a row back exactly as they took it in; water
//! marks remember; all others are computed from the cell's rows ([`super::rowwise`]) when somebody looks, and again
//! only after one of its rows changed.

use std::sync::Arc;

use crate::error::{EngineError, Result};
use crate::schema::{ColumnType, Field, Storage};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    Sum,
    SumOrZero,
    AbsSum,
    SumAbs,
    Mul,
    Gmv,
    Mean,
    WeightedMean,
    Count,
    DistinctCount,
    DistinctLeaf,
    Unique,
    Any,
    And,
    Or,
    Dominant,
    First,
    Last,
    LastByIndex,
    LastMinusFirst,
    Max,
    Min,
    HighMinusLow,
    High,
    Low,
    Median,
    Q1,
    Q3,
    Join,
    MaxBy,
    MinBy,
    PctSumParent,
    PctSumTotal,
    Variance,
    Stddev,
}

/// One aggregate of a view.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Aggregate {
    /// Name of the aggregated column.
    pub(crate) name: Arc<str>,
    pub(crate) column: usize,
    pub(crate) kind: Kind,
    /// The weight or the column to compare.
    pub(crate) argument: Option<usize>,
    /// As clients read it back: canonical name, then arguments.
    pub(crate) canonical: Vec<String>,
    /// The name that shows in CSV and Arrow where the column is a group key too.
    pub(crate) qualifier: String,
    pub(crate) input: Storage,
    pub(crate) sum_of_nothing: SumOfNothing,
}

/// What plain sums and shares are where no row has a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum SumOfNothing {
    Null,
    /// Null only where there are no rows.
    Zero,
    /// Also where a filter keeps no row.
    ZeroWithoutRows,
}

/// Name, aliases, canonical name.
const NAMES: &[(Kind, &[&str], &str)] = &[
    (Kind::Sum, &["sum", "sum not null", "sum_not_null"], "sum"),
    (Kind::SumOrZero, &["sum or zero"], "sum or zero"),
    (Kind::AbsSum, &["abs sum"], "abs sum"),
    (Kind::SumAbs, &["sum abs"], "sum abs"),
    (Kind::Mul, &["mul"], "mul"),
    (Kind::Gmv, &["gmv"], "gmv"),
    (Kind::Mean, &["avg", "mean"], "mean"),
    (Kind::WeightedMean, &["weighted mean", "weighted_mean"], "weighted mean"),
    (Kind::Count, &["count"], "count"),
    (
        Kind::DistinctCount,
        &["distinct count", "distinct", "distinctcount", "distinct_count"],
        "distinct count",
    ),
    (Kind::DistinctLeaf, &["distinct leaf", "distinct_leaf"], "distinct leaf"),
    (Kind::Unique, &["unique"], "unique"),
    (Kind::Any, &["any"], "any"),
    (Kind::And, &["and"], "and"),
    (Kind::Or, &["or"], "or"),
    (Kind::Dominant, &["dominant"], "dominant"),
    (Kind::First, &["first", "first by index"], "first"),
    (Kind::Last, &["last", "last_value", "last value"], "last value"),
    (Kind::LastByIndex, &["last by index"], "last by index"),
    (Kind::LastMinusFirst, &["last minus first"], "last minus first"),
    (Kind::Max, &["max"], "max"),
    (Kind::Min, &["min"], "min"),
    (Kind::HighMinusLow, &["high minus low", "high minuslow"], "high minus low"),
    (Kind::High, &["high", "high water mark"], "high water mark"),
    (Kind::Low, &["low", "low water mark"], "low water mark"),
    (Kind::Median, &["median"], "median"),
    (Kind::Q1, &["q1"], "q1"),
    (Kind::Q3, &["q3"], "q3"),
    (Kind::Join, &["join"], "join"),
    (Kind::MaxBy, &["max by", "max_by"], "max by"),
    (Kind::MinBy, &["min by", "min_by"], "min by"),
    (Kind::PctSumParent, &["pct sum parent", "pct_sum_parent"], "pct sum parent"),
    (
        Kind::PctSumTotal,
        &["pct sum total", "pct_sum_total", "pct sum grand total", "pct_sum_grand_total"],
        "pct sum grand total",
    ),
    (Kind::Variance, &["var", "variance"], "variance"),
    (Kind::Stddev, &["stddev", "standard deviation"], "stddev"),
];

/// Names that are known but were never implemented by the published server either.
const UNIMPLEMENTED: &[&str] = &["mean by count", "mean_by_count", "identity", "div", "add", "py_agg"];

impl Kind {
    /// The default for a column of this type in a grouped view.
    pub(crate) fn default_for(column_type: ColumnType) -> Kind {
        match column_type {
            ColumnType::Integer | ColumnType::Float => Kind::Sum,
            ColumnType::String | ColumnType::Date | ColumnType::Datetime | ColumnType::Boolean => Kind::Count,
        }
    }

    fn canonical(self) -> &'static str {
        NAMES.iter().find(|(kind, ..)| *kind == self).map_or("", |(_, _, canonical)| canonical)
    }

    fn takes_argument(self) -> bool {
        matches!(self, Kind::WeightedMean | Kind::MaxBy | Kind::MinBy)
    }

    /// The plain sum family, which takes numbers and booleans only.
    fn is_sum(self) -> bool {
        matches!(
            self,
            Kind::Sum
                | Kind::SumOrZero
                | Kind::AbsSum
                | Kind::SumAbs
                | Kind::Mul
                | Kind::Gmv
                | Kind::PctSumParent
                | Kind::PctSumTotal
        )
    }

    /// Whether it is computed from the rows of a cell, which the view then keeps.
    pub(crate) fn needs_rows(self) -> bool {
        match self {
            Kind::Sum
            | Kind::SumOrZero
            | Kind::AbsSum
            | Kind::SumAbs
            | Kind::Gmv
            | Kind::Mean
            | Kind::WeightedMean
            | Kind::Count
            | Kind::High
            | Kind::Low
            | Kind::PctSumParent
            | Kind::PctSumTotal
            | Kind::Variance
            | Kind::Stddev => false,
            Kind::Mul
            | Kind::DistinctCount
            | Kind::DistinctLeaf
            | Kind::Unique
            | Kind::Any
            | Kind::And
            | Kind::Or
            | Kind::Dominant
            | Kind::First
            | Kind::Last
            | Kind::LastByIndex
            | Kind::LastMinusFirst
            | Kind::Max
            | Kind::Min
            | Kind::HighMinusLow
            | Kind::Median
            | Kind::Q1
            | Kind::Q3
            | Kind::Join
            | Kind::MaxBy
            | Kind::MinBy => true,
        }
    }
}

impl Aggregate {
    /// The aggregate `words` (name, then arguments) of a column. `column_of` finds argument columns.
    pub(crate) fn parse(
        field: &Field,
        column: usize,
        words: &[String],
        column_of: impl Fn(&str) -> Option<usize>,
    ) -> Result<Aggregate> {
        let name = &field.name;
        let word = words.first().map_or("", String::as_str);
        let Some((kind, ..)) = NAMES.iter().find(|(_, names, _)| names.contains(&word)) else {
            let known = UNIMPLEMENTED.contains(&word) || word.starts_with("udf_");
            let verdict = if known { "Unimplemented" } else { "Invalid" };
            return Err(EngineError::config(format!(
                "{verdict} aggregate '{word}' for column '{name}' found in View aggregates.\n"
            )));
        };
        let argument = match (kind.takes_argument(), words.get(1)) {
            (false, _) => None,
            (true, None) => {
                return Err(EngineError::config(format!(
                    "Aggregate '{word}' for column '{name}' requires a column argument.\n"
                )));
            }
            (true, Some(argument)) => {
                // Older clients write `max by` with the keyword repeated: ["max by", "by", "c"].
                let argument = if argument == "by" { words.get(2).unwrap_or(argument) } else { argument };
                Some(column_of(argument).ok_or_else(|| {
                    EngineError::config(format!(
                        "Invalid column '{argument}' found in the '{word}' aggregate for column '{name}'.\n"
                    ))
                })?)
            }
        };
        let mut aggregate = Aggregate::new(field, column, *kind);
        aggregate.argument = argument;
        aggregate.canonical.extend(words.iter().skip(1).cloned());
        let argument = words.iter().skip(1).find(|argument| *argument != "by").filter(|_| argument.is_some());
        aggregate.qualifier = match argument {
            Some(argument) => format!("{} by {argument}", word.trim_end_matches(" by")),
            None => word.to_owned(),
        };
        Ok(aggregate)
    }

    pub(crate) fn new(field: &Field, column: usize, kind: Kind) -> Aggregate {
        Aggregate {
            name: field.name.clone(),
            column,
            kind,
            argument: None,
            canonical: vec![kind.canonical().to_owned()],
            qualifier: kind.canonical().to_owned(),
            input: field.storage,
            sum_of_nothing: SumOfNothing::Null,
        }
    }

    /// Computes and reports it as clients up to 5.5 expect. `words`: as it was asked.
    pub(super) fn follow_older_rules(&mut self, words: &[String]) {
        let word = words.first().map_or("", String::as_str);
        let is_not_null = matches!(word, "sum not null" | "sum_not_null");
        self.sum_of_nothing = match self.kind {
            Kind::AbsSum | Kind::SumAbs => SumOfNothing::ZeroWithoutRows,
            Kind::Sum if is_not_null => SumOfNothing::ZeroWithoutRows,
            Kind::Sum | Kind::PctSumParent | Kind::PctSumTotal => SumOfNothing::Zero,
            _ => SumOfNothing::Null,
        };
        if is_not_null {
            self.canonical[0] = "sum not null".to_owned();
        }
    }

    /// Checks that the column's type can be aggregated so.
    pub(crate) fn check_type(&self) -> Result<()> {
        let is_number =
            matches!(self.input.column_type(), ColumnType::Integer | ColumnType::Float | ColumnType::Boolean);
        let fits = is_number || !(self.kind.is_sum() || self.kind == Kind::Mean);
        if fits {
            return Ok(());
        }
        Err(EngineError::config(format!(
            "Unexpected coltype: aggregate '{}' does not take column '{}' of type {}",
            self.qualifier,
            self.name,
            self.input.column_type().name()
        )))
    }

    /// The storage of the result.
    pub(crate) fn output(&self) -> Storage {
        match self.kind {
            Kind::Sum | Kind::SumOrZero | Kind::AbsSum | Kind::SumAbs | Kind::Mul | Kind::Gmv => {
                match self.input.column_type() {
                    ColumnType::Float => Storage::Float64,
                    _ => Storage::Int64,
                }
            }
            Kind::Count => Storage::Int64,
            Kind::DistinctCount => Storage::UInt32,
            Kind::Mean
            | Kind::WeightedMean
            | Kind::Variance
            | Kind::Stddev
            | Kind::PctSumParent
            | Kind::PctSumTotal => Storage::Float64,
            Kind::Join => Storage::Utf8,
            Kind::And => Storage::Bool,
            Kind::DistinctLeaf
            | Kind::Unique
            | Kind::Any
            | Kind::Or
            | Kind::Dominant
            | Kind::First
            | Kind::Last
            | Kind::LastByIndex
            | Kind::LastMinusFirst
            | Kind::Max
            | Kind::Min
            | Kind::HighMinusLow
            | Kind::High
            | Kind::Low
            | Kind::Median
            | Kind::Q1
            | Kind::Q3
            | Kind::MaxBy
            | Kind::MinBy => self.input,
        }
    }

    /// The type that `schema` reports.
    pub(crate) fn output_type(&self) -> ColumnType {
        match self.kind {
            // Sums of booleans are counts, but have always been reported as what was summed.
            Kind::Sum | Kind::SumOrZero | Kind::AbsSum | Kind::SumAbs | Kind::Mul | Kind::Gmv => {
                self.input.column_type()
            }
            _ => self.output().column_type(),
        }
    }
}
