//! An aggregate as a view's configuration asks for it: the function, its columns and its spelling.

use std::sync::Arc;

use super::{AggregateFunction, registry};
use crate::error::{ConfigError, Result};
use crate::types::schema::{ColumnType, Field, Storage};

/// One aggregate of a view.
#[derive(Debug, Clone)]
pub(crate) struct Aggregate {
    /// Name of the aggregated column.
    pub(crate) name: Arc<str>,
    pub(crate) column: usize,
    pub(crate) function: &'static dyn AggregateFunction,
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
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub(crate) enum SumOfNothing {
    #[default]
    Null,
    /// Null only where there are no rows.
    Zero,
    /// Zero even where a filter excludes every row.
    ZeroWithoutRows,
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
        let Some(function) = registry::find(word) else {
            return Err(ConfigError::UnknownAggregate {
                aggregate: word.to_owned(),
                column: name.to_string(),
                is_unimplemented: registry::is_reserved(word),
            }
            .into());
        };
        let argument = match (function.signature().has_argument, words.get(1)) {
            (false, _) => None,
            (true, None) => {
                let (aggregate, column) = (word.to_owned(), name.to_string());
                return Err(ConfigError::AggregateArgument { aggregate, column }.into());
            }
            (true, Some(argument)) => {
                // Older clients write `max by` with the keyword repeated: ["max by", "by", "c"].
                let argument = if argument == "by" { words.get(2).unwrap_or(argument) } else { argument };
                Some(column_of(argument).ok_or_else(|| ConfigError::AggregateColumn {
                    argument: argument.clone(),
                    aggregate: word.to_owned(),
                    column: name.to_string(),
                })?)
            }
        };
        let mut aggregate = Aggregate::new(field, column, function);
        aggregate.argument = argument;
        aggregate.canonical.extend(words.iter().skip(1).cloned());
        let argument = words.iter().skip(1).find(|argument| *argument != "by").filter(|_| argument.is_some());
        aggregate.qualifier = match argument {
            Some(argument) => format!("{} by {argument}", word.trim_end_matches(" by")),
            None => word.to_owned(),
        };
        Ok(aggregate)
    }

    /// The aggregate of a column without words of its own.
    pub(crate) fn new(field: &Field, column: usize, function: &'static dyn AggregateFunction) -> Aggregate {
        let canonical = function.signature().canonical;
        Aggregate {
            name: field.name.clone(),
            column,
            function,
            argument: None,
            canonical: vec![canonical.to_owned()],
            qualifier: canonical.to_owned(),
            input: field.storage,
            sum_of_nothing: SumOfNothing::Null,
        }
    }

    /// Adopts the semantics and spelling of clients up to 5.5. `words` is the specification as received.
    pub(crate) fn follow_older_rules(&mut self, words: &[String]) {
        let rules = self.function.older_rules(words.first().map_or("", String::as_str));
        self.sum_of_nothing = rules.sum_of_nothing;
        if let Some(canonical) = rules.canonical {
            self.canonical[0] = canonical.to_owned();
        }
    }

    /// Checks that the aggregate accepts the column's type.
    pub(crate) fn check_type(&self) -> Result<()> {
        let column_type = self.input.column_type();
        if self.function.signature().accepts.includes(column_type) {
            return Ok(());
        }
        Err(ConfigError::AggregateType {
            aggregate: self.qualifier.clone(),
            column: self.name.to_string(),
            column_type,
        }
        .into())
    }

    /// Returns the storage type of the result.
    pub(crate) fn output(&self) -> Storage {
        self.function.signature().output.storage(self.input)
    }

    /// Returns the column type that `schema` reports.
    pub(crate) fn output_type(&self) -> ColumnType {
        self.function.signature().output.reported(self.input)
    }

    /// Returns whether the column holds floats.
    pub(crate) fn is_float(&self) -> bool {
        self.input.column_type() == ColumnType::Float
    }
}
