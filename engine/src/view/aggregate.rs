//! The aggregates: names, types and kind of state.
//!
//! Invariant: sum-like aggregates ([`super::sums`]) are exact per-cell states that retract a row exactly as they
//! inserted it; water marks never retract; all others are computed lazily from the cell's rows ([`super::from_rows`]),
//! and again only after one of those rows changed.

use std::sync::Arc;

use crate::error::{EngineError, Result};
use crate::types::schema::{ColumnType, Field, Storage};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum AggregateKind {
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
    pub(crate) kind: AggregateKind,
    /// The weight of a weighted mean, or the column that `max by` and `min by` compare.
    pub(crate) argument: Option<usize>,
    /// The form clients read back: canonical name, then arguments.
    pub(crate) canonical: Vec<String>,
    /// Qualifies the column's name in CSV and Arrow where the column is a group key too.
    pub(crate) qualifier: String,
    pub(crate) input: Storage,
    pub(crate) sum_of_nothing: SumOfNothing,
}

/// The value of plain sums and shares where no row has a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum SumOfNothing {
    Null,
    /// Null only where there are no rows.
    Zero,
    /// Zero even where a filter excludes every row.
    ZeroWithoutRows,
}

/// Name, aliases, canonical name.
const NAMES: &[(AggregateKind, &[&str], &str)] = &[
    (AggregateKind::Sum, &["sum", "sum not null", "sum_not_null"], "sum"),
    (AggregateKind::SumOrZero, &["sum or zero"], "sum or zero"),
    (AggregateKind::AbsSum, &["abs sum"], "abs sum"),
    (AggregateKind::SumAbs, &["sum abs"], "sum abs"),
    (AggregateKind::Mul, &["mul"], "mul"),
    (AggregateKind::Gmv, &["gmv"], "gmv"),
    (AggregateKind::Mean, &["avg", "mean"], "mean"),
    (AggregateKind::WeightedMean, &["weighted mean", "weighted_mean"], "weighted mean"),
    (AggregateKind::Count, &["count"], "count"),
    (
        AggregateKind::DistinctCount,
        &["distinct count", "distinct", "distinctcount", "distinct_count"],
        "distinct count",
    ),
    (AggregateKind::DistinctLeaf, &["distinct leaf", "distinct_leaf"], "distinct leaf"),
    (AggregateKind::Unique, &["unique"], "unique"),
    (AggregateKind::Any, &["any"], "any"),
    (AggregateKind::And, &["and"], "and"),
    (AggregateKind::Or, &["or"], "or"),
    (AggregateKind::Dominant, &["dominant"], "dominant"),
    (AggregateKind::First, &["first", "first by index"], "first"),
    (AggregateKind::Last, &["last", "last_value", "last value"], "last value"),
    (AggregateKind::LastByIndex, &["last by index"], "last by index"),
    (AggregateKind::LastMinusFirst, &["last minus first"], "last minus first"),
    (AggregateKind::Max, &["max"], "max"),
    (AggregateKind::Min, &["min"], "min"),
    (AggregateKind::HighMinusLow, &["high minus low", "high minuslow"], "high minus low"),
    (AggregateKind::High, &["high", "high water mark"], "high water mark"),
    (AggregateKind::Low, &["low", "low water mark"], "low water mark"),
    (AggregateKind::Median, &["median"], "median"),
    (AggregateKind::Q1, &["q1"], "q1"),
    (AggregateKind::Q3, &["q3"], "q3"),
    (AggregateKind::Join, &["join"], "join"),
    (AggregateKind::MaxBy, &["max by", "max_by"], "max by"),
    (AggregateKind::MinBy, &["min by", "min_by"], "min by"),
    (AggregateKind::PctSumParent, &["pct sum parent", "pct_sum_parent"], "pct sum parent"),
    (
        AggregateKind::PctSumTotal,
        &["pct sum total", "pct_sum_total", "pct sum grand total", "pct_sum_grand_total"],
        "pct sum grand total",
    ),
    (AggregateKind::Variance, &["var", "variance"], "variance"),
    (AggregateKind::Stddev, &["stddev", "standard deviation"], "stddev"),
];

/// Names that are reserved but not implemented by the reference engine either.
const UNIMPLEMENTED: &[&str] = &["mean by count", "mean_by_count", "identity", "div", "add", "py_agg"];

impl AggregateKind {
    /// Returns the default aggregate of a column of this type in a grouped view.
    pub(crate) fn default_for(column_type: ColumnType) -> AggregateKind {
        match column_type {
            ColumnType::Integer | ColumnType::Float => AggregateKind::Sum,
            ColumnType::String | ColumnType::Date | ColumnType::Datetime | ColumnType::Boolean => {
                AggregateKind::Count
            }
        }
    }

    fn canonical(self) -> &'static str {
        NAMES.iter().find(|(kind, ..)| *kind == self).map_or("", |(_, _, canonical)| canonical)
    }

    fn takes_argument(self) -> bool {
        matches!(self, AggregateKind::WeightedMean | AggregateKind::MaxBy | AggregateKind::MinBy)
    }

    /// Returns whether this is one of the plain sum family, which accepts numbers and booleans only.
    fn is_sum(self) -> bool {
        matches!(
            self,
            AggregateKind::Sum
                | AggregateKind::SumOrZero
                | AggregateKind::AbsSum
                | AggregateKind::SumAbs
                | AggregateKind::Mul
                | AggregateKind::Gmv
                | AggregateKind::PctSumParent
                | AggregateKind::PctSumTotal
        )
    }

    /// Returns whether it is computed from the rows of a cell, which the view then stores per cell.
    pub(crate) fn needs_rows(self) -> bool {
        match self {
            AggregateKind::Sum
            | AggregateKind::SumOrZero
            | AggregateKind::AbsSum
            | AggregateKind::SumAbs
            | AggregateKind::Gmv
            | AggregateKind::Mean
            | AggregateKind::WeightedMean
            | AggregateKind::Count
            | AggregateKind::High
            | AggregateKind::Low
            | AggregateKind::PctSumParent
            | AggregateKind::PctSumTotal
            | AggregateKind::Variance
            | AggregateKind::Stddev => false,
            AggregateKind::Mul
            | AggregateKind::DistinctCount
            | AggregateKind::DistinctLeaf
            | AggregateKind::Unique
            | AggregateKind::Any
            | AggregateKind::And
            | AggregateKind::Or
            | AggregateKind::Dominant
            | AggregateKind::First
            | AggregateKind::Last
            | AggregateKind::LastByIndex
            | AggregateKind::LastMinusFirst
            | AggregateKind::Max
            | AggregateKind::Min
            | AggregateKind::HighMinusLow
            | AggregateKind::Median
            | AggregateKind::Q1
            | AggregateKind::Q3
            | AggregateKind::Join
            | AggregateKind::MaxBy
            | AggregateKind::MinBy => true,
        }
    }
}

impl Aggregate {
    /// Parses an aggregate specification of a column: the name, then arguments, as in `words`. `column_of` resolves
    /// argument columns.
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

    pub(crate) fn new(field: &Field, column: usize, kind: AggregateKind) -> Aggregate {
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

    /// Adopts the semantics and spelling of clients up to 5.5. `words` is the specification as received.
    pub(super) fn follow_older_rules(&mut self, words: &[String]) {
        let word = words.first().map_or("", String::as_str);
        let is_not_null = matches!(word, "sum not null" | "sum_not_null");
        self.sum_of_nothing = match self.kind {
            AggregateKind::AbsSum | AggregateKind::SumAbs => SumOfNothing::ZeroWithoutRows,
            AggregateKind::Sum if is_not_null => SumOfNothing::ZeroWithoutRows,
            AggregateKind::Sum | AggregateKind::PctSumParent | AggregateKind::PctSumTotal => {
                SumOfNothing::Zero
            }
            _ => SumOfNothing::Null,
        };
        if is_not_null {
            self.canonical[0] = "sum not null".to_owned();
        }
    }

    /// Checks that the aggregate accepts the column's type.
    pub(crate) fn check_type(&self) -> Result<()> {
        let is_number =
            matches!(self.input.column_type(), ColumnType::Integer | ColumnType::Float | ColumnType::Boolean);
        let fits = is_number || !(self.kind.is_sum() || self.kind == AggregateKind::Mean);
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

    /// Returns the storage type of the result.
    pub(crate) fn output(&self) -> Storage {
        match self.kind {
            AggregateKind::Sum
            | AggregateKind::SumOrZero
            | AggregateKind::AbsSum
            | AggregateKind::SumAbs
            | AggregateKind::Mul
            | AggregateKind::Gmv => match self.input.column_type() {
                ColumnType::Float => Storage::Float64,
                _ => Storage::Int64,
            },
            AggregateKind::Count => Storage::Int64,
            AggregateKind::DistinctCount => Storage::UInt32,
            AggregateKind::Mean
            | AggregateKind::WeightedMean
            | AggregateKind::Variance
            | AggregateKind::Stddev
            | AggregateKind::PctSumParent
            | AggregateKind::PctSumTotal => Storage::Float64,
            AggregateKind::Join => Storage::Utf8,
            AggregateKind::And => Storage::Bool,
            AggregateKind::DistinctLeaf
            | AggregateKind::Unique
            | AggregateKind::Any
            | AggregateKind::Or
            | AggregateKind::Dominant
            | AggregateKind::First
            | AggregateKind::Last
            | AggregateKind::LastByIndex
            | AggregateKind::LastMinusFirst
            | AggregateKind::Max
            | AggregateKind::Min
            | AggregateKind::HighMinusLow
            | AggregateKind::High
            | AggregateKind::Low
            | AggregateKind::Median
            | AggregateKind::Q1
            | AggregateKind::Q3
            | AggregateKind::MaxBy
            | AggregateKind::MinBy => self.input,
        }
    }

    /// Returns the column type that `schema` reports.
    pub(crate) fn output_type(&self) -> ColumnType {
        match self.kind {
            // Sums of booleans are counts, but the published server has always reported the input type.
            AggregateKind::Sum
            | AggregateKind::SumOrZero
            | AggregateKind::AbsSum
            | AggregateKind::SumAbs
            | AggregateKind::Mul
            | AggregateKind::Gmv => self.input.column_type(),
            _ => self.output().column_type(),
        }
    }
}
