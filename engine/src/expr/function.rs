//! The functions: names, signatures, and dispatch.
//!
//! Invariant: a function is pure (except for clock and randomness): it depends on its arguments and, for lookups, on
//! the row. A wrong type yields poison, a missing value null.

#![allow(
    clippy::wildcard_enum_match_arm,
    reason = "each file evaluates the functions of its own family; `Function` lists all"
)]

mod convert;
mod math;
mod pattern;
mod text;
mod time;
mod vector;

use super::ast::{Argument, Comparison};
use super::eval::Machine;
use super::value::{Status, Value, ValueKind};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Function {
    /// A function of one number, by position in [`math::UNARY`].
    Unary(usize),
    Not,
    Clamp,
    InverseClamp,
    Equal,
    NotEqual,
    Logarithm,
    Modulo,
    Power,
    Root,
    /// Reserved names that never yield a value.
    Never,
    /// `$f00` … `$f99`.
    Special(u8),
    Sum,
    Product,
    Mean,
    AllOf,
    AnyOf,
    Min,
    Max,
    InRange,
    PercentOf,
    Bucket,
    Random,
    Upper,
    Lower,
    Length,
    Concat,
    Substring,
    Contains,
    Order,
    String,
    Intern,
    Match,
    MatchAll,
    Search,
    IndexOf,
    Replace,
    ReplaceAll,
    HourOfDay,
    DayOfWeek,
    MonthOfYear,
    Now,
    Today,
    Date,
    Datetime,
    Integer,
    Float,
    Boolean,
    IsNull,
    IsNotNull,
    Coalesce,
    Index,
    Column,
    Lookup,
    Norm3,
    DotProduct3,
    CrossProduct3,
    Difference3,
}

/// The parameters of a function of the dialect: T a value, S a raw string, V a vector, ? anything, * any number of
/// values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Signature {
    Nothing,
    Exactly(&'static str),
    Values,
}

impl Signature {
    pub(super) fn text(self) -> &'static str {
        match self {
            Signature::Nothing => "Z",
            Signature::Exactly(letters) => letters,
            Signature::Values => "T*",
        }
    }

    pub(super) fn fits(self, arguments: &[Argument]) -> bool {
        let fits = |letter: u8, argument: &Argument| match letter {
            b'T' => matches!(argument, Argument::Value(_)),
            b'S' => matches!(argument, Argument::Raw(_)),
            b'V' => matches!(argument, Argument::Vector(_)),
            _ => true,
        };
        match self {
            Signature::Nothing => arguments.is_empty(),
            Signature::Values => !arguments.is_empty(),
            Signature::Exactly(letters) => {
                letters.len() == arguments.len()
                    && letters.bytes().zip(arguments).all(|(letter, argument)| fits(letter, argument))
            }
        }
    }
}

impl Function {
    /// Returns a function of the base language and its number of parameters.
    pub(super) fn base(word: &str) -> Option<(Function, usize)> {
        if let Some(position) = math::UNARY.iter().position(|(name, ..)| *name == word) {
            return Some((Function::Unary(position), 1));
        }
        Some(match word {
            "not" => (Function::Not, 1),
            "sec" | "csc" | "ncdf" => (Function::Never, 1),
            "atan2" | "hypot" | "roundn" | "shl" | "shr" => (Function::Never, 2),
            "equal" => (Function::Equal, 2),
            "not_equal" => (Function::NotEqual, 2),
            "logn" => (Function::Logarithm, 2),
            "mod" => (Function::Modulo, 2),
            "pow" => (Function::Power, 2),
            "root" => (Function::Root, 2),
            "clamp" => (Function::Clamp, 3),
            "iclamp" => (Function::InverseClamp, 3),
            _ => {
                let number: u8 = word.strip_prefix("$f")?.parse().ok()?;
                (Function::Special(number), if number < 48 { 3 } else { 4 })
            }
        })
    }

    /// Returns a function of the base language with any number of parameters.
    pub(super) fn vararg(word: &str) -> Option<Function> {
        Some(match word {
            "sum" => Function::Sum,
            "mul" => Function::Product,
            "avg" => Function::Mean,
            "mand" => Function::AllOf,
            "mor" => Function::AnyOf,
            _ => return None,
        })
    }

    pub(super) fn is_base_name(word: &str) -> bool {
        Function::base(word).is_some() || Function::vararg(word).is_some()
    }

    /// Returns the operator that the function is a synonym of.
    pub(super) fn comparison(self) -> Option<Comparison> {
        match self {
            Function::Equal => Some(Comparison::Equal),
            Function::NotEqual => Some(Comparison::NotEqual),
            _ => None,
        }
    }

    /// Returns whether a single argument is returned unchanged.
    pub(super) fn is_fold(self) -> bool {
        matches!(self, Function::Sum | Function::Product | Function::Mean)
    }

    /// Functions of the base language have no effect, so unused calls are dropped.
    pub(super) fn is_base(self) -> bool {
        matches!(
            self,
            Function::Unary(_)
                | Function::Not
                | Function::Clamp
                | Function::InverseClamp
                | Function::Equal
                | Function::NotEqual
                | Function::Logarithm
                | Function::Modulo
                | Function::Power
                | Function::Root
                | Function::Never
                | Function::Special(_)
                | Function::Sum
                | Function::Product
                | Function::Mean
                | Function::AllOf
                | Function::AnyOf
        )
    }

    /// Returns a function of the dialect.
    pub(super) fn generic(word: &str) -> Option<(Function, Signature)> {
        use Signature::{Exactly, Nothing, Values};
        Some(match word {
            "min" => (Function::Min, Values),
            "max" => (Function::Max, Values),
            "inrange" => (Function::InRange, Exactly("TTT")),
            "percent_of" => (Function::PercentOf, Exactly("TT")),
            "bucket" => (Function::Bucket, Exactly("T?")),
            "random" => (Function::Random, Nothing),
            "upper" => (Function::Upper, Exactly("T")),
            "lower" => (Function::Lower, Exactly("T")),
            "length" => (Function::Length, Exactly("T")),
            "concat" => (Function::Concat, Values),
            "substring" => (Function::Substring, Values),
            "contains" => (Function::Contains, Exactly("TS")),
            "order" => (Function::Order, Values),
            "string" => (Function::String, Exactly("T")),
            "intern" => (Function::Intern, Exactly("S")),
            "match" => (Function::Match, Exactly("TS")),
            "match_all" => (Function::MatchAll, Exactly("TS")),
            "search" => (Function::Search, Exactly("TS")),
            "indexof" => (Function::IndexOf, Exactly("TSV")),
            "replace" => (Function::Replace, Exactly("TS?")),
            "replace_all" => (Function::ReplaceAll, Exactly("TS?")),
            "hour_of_day" => (Function::HourOfDay, Exactly("T")),
            "day_of_week" => (Function::DayOfWeek, Exactly("T")),
            "month_of_year" => (Function::MonthOfYear, Exactly("T")),
            "now" => (Function::Now, Nothing),
            "today" => (Function::Today, Nothing),
            "date" => (Function::Date, Exactly("TTT")),
            "datetime" => (Function::Datetime, Exactly("T")),
            "integer" => (Function::Integer, Exactly("T")),
            "float" => (Function::Float, Exactly("T")),
            "boolean" => (Function::Boolean, Exactly("T")),
            "is_null" => (Function::IsNull, Exactly("T")),
            "is_not_null" => (Function::IsNotNull, Exactly("T")),
            "coalesce" => (Function::Coalesce, Values),
            "index" => (Function::Index, Nothing),
            "col" => (Function::Column, Exactly("T")),
            "vlookup" => (Function::Lookup, Exactly("TT")),
            "norm3" => (Function::Norm3, Exactly("V")),
            "dot_product3" => (Function::DotProduct3, Exactly("VV")),
            "cross_product3" => (Function::CrossProduct3, Exactly("VVV")),
            "diff3" => (Function::Difference3, Exactly("VVV")),
            _ => return None,
        })
    }
}

/// Evaluates a call.
pub(super) fn call(machine: &mut Machine<'_>, function: Function, arguments: &[Argument]) -> Value {
    match function {
        Function::AllOf | Function::AnyOf => return math::all_or_any(machine, function, arguments),
        Function::IndexOf
        | Function::Norm3
        | Function::DotProduct3
        | Function::CrossProduct3
        | Function::Difference3 => {
            return vector::call(machine, function, arguments);
        }
        Function::Sum | Function::Product | Function::Mean => {
            return math::fold(machine, function, arguments);
        }
        Function::Match
        | Function::MatchAll
        | Function::Search
        | Function::Replace
        | Function::ReplaceAll
        | Function::Contains => return pattern::call(machine, function, arguments),
        _ => {}
    }
    // A raw string is an empty text where a value is expected.
    let mut values = Vec::with_capacity(arguments.len());
    for argument in arguments {
        values.push(match argument {
            Argument::Value(node) => machine.value(node),
            Argument::Raw(_) => Value::poison(ValueKind::Text),
            Argument::Vector(_) => Value::none(),
        });
    }
    apply(machine, function, values)
}

/// Applies a function of plain values.
pub(super) fn apply(machine: &mut Machine<'_>, function: Function, mut values: Vec<Value>) -> Value {
    match function {
        Function::Unary(position) => math::unary(position, &values[0]),
        Function::Not if machine.is_checking() && values[0].status == Status::Poison => {
            Value::poison(ValueKind::Boolean)
        }
        Function::Not => Value::boolean(!values[0].is_true()),
        Function::Never => Value::poison(ValueKind::Float64),
        Function::Equal | Function::NotEqual => math::equal(machine, function, &values),
        Function::Clamp
        | Function::InverseClamp
        | Function::Logarithm
        | Function::Modulo
        | Function::Power
        | Function::Root
        | Function::Min
        | Function::Max
        | Function::PercentOf => math::several(function, &values, machine.is_checking()),
        Function::Special(number) => math::special(number, &values),
        Function::InRange => math::in_range(machine, &values),
        Function::Bucket => time::bucket(machine, &values),
        Function::Random => Value::float(machine.random()),
        Function::Upper
        | Function::Lower
        | Function::Length
        | Function::Concat
        | Function::Substring
        | Function::Order => text::call(machine, function, &values),
        Function::String => text::string(machine, &values[0]),
        Function::Intern => values.swap_remove(0),
        Function::HourOfDay | Function::DayOfWeek | Function::MonthOfYear => {
            time::part(machine, function, &values[0])
        }
        Function::Now => Value::datetime(machine.now()),
        Function::Today => time::today(machine.now()),
        Function::Date => time::date(&values),
        Function::Datetime => time::datetime(&values[0]),
        Function::Integer | Function::Float | Function::Boolean => convert::call(function, &values[0]),
        Function::IsNull => Value::boolean(values[0].is_none() || !values[0].is_valid()),
        Function::IsNotNull => Value::boolean(!values[0].is_none() && values[0].is_valid()),
        Function::Coalesce => convert::coalesce(&values),
        Function::Index => machine.index(),
        Function::Column => match values[0].as_text() {
            Some(name) => machine.named(name).unwrap_or(Value::poison(ValueKind::Float64)),
            None => Value::poison(ValueKind::Float64),
        },
        Function::Lookup => convert::lookup(machine, &values),
        Function::Sum
        | Function::Product
        | Function::Mean
        | Function::AllOf
        | Function::AnyOf
        | Function::IndexOf
        | Function::Norm3
        | Function::DotProduct3
        | Function::CrossProduct3
        | Function::Difference3
        | Function::Match
        | Function::MatchAll
        | Function::Search
        | Function::Replace
        | Function::ReplaceAll
        | Function::Contains => unreachable!("{function:?} does not take plain values"),
    }
}

pub(super) fn compile_pattern(pattern: &str, is_whole: bool) -> Option<regex::Regex> {
    pattern::compile(pattern, is_whole)
}

/// Applies a function of a pattern; `rest` is the replacement.
pub(super) fn apply_pattern(
    machine: &mut Machine<'_>,
    function: Function,
    subject: &Value,
    pattern: &str,
    rest: Option<Value>,
) -> Value {
    pattern::apply(machine, function, subject, pattern, rest)
}

/// Returns the definition of a function of one number: the computation, whether it accepts integers, and its type.
pub(super) fn unary_function(position: usize) -> (fn(f64) -> f64, bool, ValueKind) {
    let (_, compute, takes_integers) = math::UNARY[position];
    (compute, takes_integers, math::unary_kind(position))
}

/// Parses a bucket unit: count and letter.
pub(super) fn bucket_unit(text: &str) -> Option<(i64, u8)> {
    time::parse_unit(text)
}

/// Returns the packed date of an integral year, month and day.
pub(super) fn packed_day(year: f64, month: f64, day: f64) -> Option<i32> {
    time::packed_day(year, month, day)
}

/// Returns the bucket of a date, for buckets of days or longer.
pub(super) fn bucket_date(value: &Value, count: i64, letter: u8) -> Option<i32> {
    time::bucket_date(value, count, letter)
}

pub(super) use text::write_string;
pub(super) use time::{DAYS, MONTHS};
