//! The result schema of a config on a table, without building a view.
//!
//! Invariant: a description is the same as that of the plan, expression by expression and then as a whole.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::config::ViewConfig;
use crate::error::Result;
use crate::expr::{Expression, ExpressionError};
use crate::types::schema::{ColumnType, Schema};
use crate::view::{ParsedColumns, Plan};

/// A view's columns: names and types.
pub type ViewColumns = Vec<(Arc<str>, ColumnType)>;

/// An error in an expression, and its position in the text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExpressionFault {
    /// What is wrong.
    pub message: String,
    /// The line of the error in the expression's text.
    pub line: u32,
    /// The column of the error in its line.
    pub column: u32,
}

/// The result of checking a config.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Description {
    /// The types of the valid expressions, by alias.
    pub expressions: BTreeMap<String, ColumnType>,
    /// The errors of the invalid expressions, by alias.
    pub faults: BTreeMap<String, ExpressionFault>,
    /// The view's columns, or why the config is invalid. `None` exactly if an expression is invalid.
    pub view: Option<Result<ViewColumns>>,
}

/// Checks `config` against a table with `schema` and the index column `index`.
pub fn describe(config: &ViewConfig, schema: &Schema, index: Option<&str>) -> Description {
    let mut description = Description::default();
    let index = index.and_then(|index| schema.index_of(index));
    let mut parsed = Vec::with_capacity(config.expressions.len());
    for (alias, text) in &config.expressions {
        match Expression::new(alias, text, schema, index) {
            Ok(expression) => {
                description.expressions.insert(alias.clone(), expression.storage.column_type());
                parsed.push((alias.as_str(), expression));
            }
            Err(ExpressionError { message, line, column }) => {
                description.faults.insert(alias.clone(), ExpressionFault { message, line, column });
            }
        }
    }
    if description.faults.is_empty() {
        let view = ParsedColumns::with(parsed, config, schema)
            .and_then(|parsed| Ok(Plan::check(config, schema, &parsed)?.schema()));
        description.view = Some(view);
    }
    description
}
