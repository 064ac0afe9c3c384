//! Filters: terms over one column each, combined by and / or.
//!
//! Invariant: linear and stateless; a row passes or not by its own cells alone.

mod key;
mod select;

pub(super) use key::FilterKey;

use ahash::RandomState;
use hashbrown::HashSet;
use regex::Regex;

use crate::column::Column;
use crate::config::{FilterReducer, FilterTerm};
use crate::error::{ConfigError, Result};
use crate::ingest::parse_temporal;
use crate::storage::Snapshot;
use crate::types::scalar::{MS_PER_DAY, Scalar};
use crate::types::schema::{ColumnType, Storage};
use crate::types::total_order::compare_floats;

#[derive(Debug, Clone, Default)]
pub(crate) struct Filter {
    terms: Vec<Term>,
    reducer: FilterReducer,
}

#[derive(Debug, Clone)]
struct Term {
    column: usize,
    test: Test,
}

#[derive(Debug, Clone)]
enum Test {
    Everything,
    Nothing,
    IsNull,
    IsNotNull,
    Compare(FilterComparison, Scalar),
    Text { place: TextAnchor, needle: String, is_negated: bool },
    Matches { pattern: Option<Regex>, is_negated: bool },
    In { values: HashSet<Scalar, RandomState>, is_negated: bool },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum FilterComparison {
    Equal,
    NotEqual,
    Greater,
    GreaterEqual,
    Less,
    LessEqual,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum TextAnchor {
    Begin,
    End,
    Anywhere,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    Compare(FilterComparison),
    Text(TextAnchor, bool),
    Matches(bool),
    In(bool),
    IsNull,
    IsNotNull,
}

fn operator(name: &str) -> Result<(Operator, &'static str)> {
    Ok(match name {
        "==" => (Operator::Compare(FilterComparison::Equal), "=="),
        "!=" => (Operator::Compare(FilterComparison::NotEqual), "!="),
        ">" => (Operator::Compare(FilterComparison::Greater), ">"),
        ">=" => (Operator::Compare(FilterComparison::GreaterEqual), ">="),
        "<" => (Operator::Compare(FilterComparison::Less), "<"),
        "<=" => (Operator::Compare(FilterComparison::LessEqual), "<="),
        "begins with" | "startswith" => (Operator::Text(TextAnchor::Begin, false), "startswith"),
        "not begins with" | "not startswith" => (Operator::Text(TextAnchor::Begin, true), "not startswith"),
        "ends with" | "endswith" => (Operator::Text(TextAnchor::End, false), "endswith"),
        "not ends with" | "not endswith" => (Operator::Text(TextAnchor::End, true), "not endswith"),
        "contains" => (Operator::Text(TextAnchor::Anywhere, false), "contains"),
        "not contains" => (Operator::Text(TextAnchor::Anywhere, true), "not contains"),
        "matches" => (Operator::Matches(false), "matches"),
        "not matches" => (Operator::Matches(true), "not matches"),
        "in" => (Operator::In(false), "in"),
        "not in" => (Operator::In(true), "not in"),
        "is null" | "is None" => (Operator::IsNull, "is null"),
        "is not null" | "is not None" => (Operator::IsNotNull, "is not null"),
        other => {
            let joins = matches!(other, "and" | "or" | "&" | "|");
            return Err(ConfigError::FilterOperator { operator: other.to_owned(), joins }.into());
        }
    })
}

impl Filter {
    /// Compiles the terms and returns them also in the form clients read back (canonical operators, converted
    /// operands). `column_of` resolves a column's name to its index and storage.
    pub(crate) fn new(
        terms: &[FilterTerm],
        reducer: FilterReducer,
        column_of: impl Fn(&str) -> Option<(usize, Storage)>,
    ) -> Result<(Filter, Vec<FilterTerm>)> {
        let mut compiled = Vec::with_capacity(terms.len());
        let mut canonical = Vec::with_capacity(terms.len());
        for term in terms {
            let (column, storage) = column_of(&term.column)
                .ok_or_else(|| ConfigError::FilterColumn { column: term.column.clone() })?;
            let (operator, name) = operator(&term.op)?;
            let operands = term
                .operands
                .iter()
                .map(|operand| convert(operand, storage, &term.column, operator))
                .collect::<Result<Vec<Scalar>>>()?;
            compiled.push(Term { column, test: test(operator, &operands, storage, term)? });
            canonical.push(FilterTerm { column: term.column.clone(), op: name.to_owned(), operands });
        }
        Ok((Filter { terms: compiled, reducer }, canonical))
    }

    /// Passes the rows in which one of these columns has the value beside it: no row, if there are no columns.
    pub(crate) fn any_equal(columns: Vec<(usize, Scalar)>) -> Filter {
        let equals = |value| Test::Compare(FilterComparison::Equal, value);
        let terms = columns.into_iter().map(|(column, value)| Term { column, test: equals(value) });
        let mut terms: Vec<Term> = terms.collect();
        if terms.is_empty() {
            terms.push(Term { column: 0, test: Test::Nothing });
        }
        Filter { terms, reducer: FilterReducer::Or }
    }

    /// Returns whether every row passes.
    pub(crate) fn is_empty(&self) -> bool {
        self.terms.is_empty()
    }

    pub(crate) fn columns(&self) -> impl Iterator<Item = usize> + '_ {
        self.terms.iter().map(|term| term.column)
    }

    pub(crate) fn keeps(&self, snapshot: &Snapshot, slot: u32) -> bool {
        let mut tests = self.terms.iter().map(|term| term.test.keeps(snapshot.column(term.column), slot));
        match self.reducer {
            _ if self.terms.is_empty() => true,
            FilterReducer::And => tests.all(|kept| kept),
            FilterReducer::Or => tests.any(|kept| kept),
        }
    }
}

fn test(operator: Operator, operands: &[Scalar], storage: Storage, term: &FilterTerm) -> Result<Test> {
    let first = || {
        operands.first().ok_or_else(|| ConfigError::FilterValueMissing {
            operator: term.op.clone(),
            column: term.column.clone(),
        })
    };
    let is_text = storage == Storage::Utf8;
    Ok(match operator {
        Operator::IsNull => Test::IsNull,
        Operator::IsNotNull => Test::IsNotNull,
        Operator::In(is_negated) => Test::In {
            values: operands.iter().filter(|operand| !operand.is_null()).cloned().collect(),
            is_negated,
        },
        Operator::Compare(comparison) => match (comparison, first()?) {
            (
                FilterComparison::Equal | FilterComparison::Less | FilterComparison::LessEqual,
                Scalar::Null,
            ) => Test::Nothing,
            (FilterComparison::NotEqual, Scalar::Null) => Test::Everything,
            (FilterComparison::Greater | FilterComparison::GreaterEqual, Scalar::Null) => Test::IsNotNull,
            (_, operand) => Test::Compare(comparison, operand.clone()),
        },
        Operator::Text(place, is_negated) => {
            let operand = first()?;
            if let Scalar::Str(needle) = operand
                && is_text
            {
                Test::Text { place, needle: needle.to_ascii_lowercase(), is_negated }
            } else if is_negated {
                Test::IsNotNull
            } else {
                Test::Nothing
            }
        }
        Operator::Matches(is_negated) => {
            let operand = first()?;
            if let Scalar::Str(pattern) = operand
                && is_text
            {
                Test::Matches { pattern: Regex::new(pattern).ok(), is_negated }
            } else {
                Test::Nothing
            }
        }
    })
}

impl Test {
    fn keeps(&self, column: &Column, slot: u32) -> bool {
        match self {
            Test::Everything => true,
            Test::Nothing => false,
            Test::IsNull => !column.is_valid(slot),
            Test::IsNotNull => column.is_valid(slot),
            Test::Compare(comparison, operand) => compare(column, slot, *comparison, operand),
            Test::Text { place, needle, is_negated } => {
                column.text(slot).is_some_and(|text| found(text, needle, *place) != *is_negated)
            }
            Test::Matches { pattern, is_negated } => match (pattern, column.text(slot)) {
                (Some(pattern), Some(text)) => pattern.is_match(text) != *is_negated,
                _ => false,
            },
            Test::In { values, is_negated } => {
                (column.is_valid(slot) && values.contains(&column.scalar(slot))) != *is_negated
            }
        }
    }
}

fn compare(column: &Column, slot: u32, comparison: FilterComparison, operand: &Scalar) -> bool {
    if !column.is_valid(slot) {
        return comparison == FilterComparison::NotEqual;
    }
    let order = match (column.text(slot), operand) {
        (Some(text), Scalar::Str(operand)) => text.as_bytes().cmp(operand.as_bytes()),
        (None, Scalar::Float(operand)) => match column.number(slot) {
            // NaN equals only NaN, and compares neither greater nor less.
            Some(value) if value.is_nan() || operand.is_nan() => {
                let is_equal = value.is_nan() && operand.is_nan();
                return match comparison {
                    FilterComparison::Equal => is_equal,
                    FilterComparison::NotEqual => !is_equal,
                    FilterComparison::Greater
                    | FilterComparison::GreaterEqual
                    | FilterComparison::Less
                    | FilterComparison::LessEqual => false,
                };
            }
            Some(value) => compare_floats(value, *operand),
            None => return comparison == FilterComparison::NotEqual,
        },
        _ => column.scalar(slot).cmp(operand),
    };
    comparison.holds(order)
}

/// Returns whether `needle` (in lower case) occurs in `text`, ignoring ASCII case.
fn found(text: &str, needle: &str, place: TextAnchor) -> bool {
    let (text, needle) = (text.as_bytes(), needle.as_bytes());
    if needle.len() > text.len() {
        return false;
    }
    match place {
        TextAnchor::Begin => text[..needle.len()].eq_ignore_ascii_case(needle),
        TextAnchor::End => text[text.len() - needle.len()..].eq_ignore_ascii_case(needle),
        TextAnchor::Anywhere => {
            needle.is_empty() || text.windows(needle.len()).any(|part| part.eq_ignore_ascii_case(needle))
        }
    }
}

/// Converts an operand to the type of the column.
fn convert(operand: &Scalar, storage: Storage, column: &str, operator: Operator) -> Result<Scalar> {
    let bad = |what: &str| ConfigError::FilterValue {
        value: what.to_owned(),
        column: column.to_owned(),
        column_type: storage.column_type(),
    };
    if operand.is_null() || matches!(operator, Operator::IsNull | Operator::IsNotNull) {
        return Ok(Scalar::Null);
    }
    if let (Scalar::Str(text), Operator::Text(..) | Operator::Matches(_)) = (operand, operator) {
        return Ok(Scalar::Str(text.clone()));
    }
    let number = operand.as_f64();
    match (storage.column_type(), operand) {
        (ColumnType::Integer, Scalar::Str(text)) => {
            let value = leading_integer(text).ok_or_else(|| bad(&format!("`{text}`")))?;
            Ok(integer(value, storage))
        }
        (ColumnType::Integer, Scalar::Int(value)) => Ok(integer(i128::from(*value), storage)),
        (ColumnType::Integer, _) => {
            let value = number.filter(|value| !value.is_nan()).ok_or_else(|| bad("NaN"))?;
            Ok(integer(value.trunc() as i128, storage))
        }
        (ColumnType::Float, Scalar::Str(text)) => {
            let value = text.trim().parse::<f64>().map_err(|_| bad(&format!("`{text}`")))?;
            Ok(Scalar::Float(value))
        }
        (ColumnType::Float, _) => Ok(Scalar::Float(number.unwrap_or(f64::NAN))),
        (ColumnType::String, Scalar::Str(text)) => Ok(Scalar::Str(text.clone())),
        (ColumnType::String, other) => Err(bad(&crate::types::display::path_text(other)).into()),
        (ColumnType::Boolean, Scalar::Bool(value)) => Ok(Scalar::Bool(*value)),
        (ColumnType::Boolean, Scalar::Str(text)) => Ok(Scalar::Bool(text.eq_ignore_ascii_case("true"))),
        (ColumnType::Boolean, _) => Ok(Scalar::Bool(number == Some(1.0))),
        (ColumnType::Date, Scalar::Str(text)) => match parse_temporal(text, ColumnType::Date) {
            Some(days) => Ok(Scalar::Date(i32::try_from(days).map_err(|_| bad(&format!("`{text}`")))?)),
            None => Err(bad(&format!("`{text}`")).into()),
        },
        (ColumnType::Datetime, Scalar::Str(text)) => match parse_temporal(text, ColumnType::Datetime) {
            Some(ms) => Ok(Scalar::Datetime(ms)),
            None => Err(bad(&format!("`{text}`")).into()),
        },
        (ColumnType::Date, _) => {
            let ms = number.unwrap_or(0.0) as i64;
            Ok(Scalar::Date(ms.div_euclid(MS_PER_DAY) as i32))
        }
        (ColumnType::Datetime, _) => Ok(Scalar::Datetime(number.unwrap_or(0.0) as i64)),
    }
}

fn integer(value: i128, storage: Storage) -> Scalar {
    if storage == Storage::UInt64 {
        return Scalar::UInt(value.clamp(0, u64::MAX.into()) as u64);
    }
    Scalar::Int(value.clamp(i64::MIN.into(), i64::MAX.into()) as i64)
}

/// Parses the integer prefix of a text.
fn leading_integer(text: &str) -> Option<i128> {
    let text = text.trim_start();
    let digits_from = usize::from(text.starts_with(['-', '+']));
    let end = text[digits_from..]
        .find(|digit: char| !digit.is_ascii_digit())
        .map_or(text.len(), |at| at + digits_from);
    text[..end].parse().ok()
}
