//! What a config would give on a table, without building anything.
//!
//! Law: a description is what a plan says, expression by expression and then as a whole.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::config::ViewConfig;
use crate::error::Result;
use crate::expr::{Expression, ExpressionError};
use crate::types::schema::{ColumnType, Schema};
use crate::view::{ParsedColumns, Plan};

/// A view's columns: names and types.
pub type ViewColumns = Vec<(Arc<str>, ColumnType)>;

/// What is wrong with one expression, and where in its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExpressionFault {
    pub message: String,
    pub line: u32,
    pub column: u32,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Description {
    /// The type of every valid expression.
    pub expressions: BTreeMap<String, ColumnType>,
    pub faults: BTreeMap<String, ExpressionFault>,
    /// The view's columns, or why there is no such view. `None` exactly when there are faults.
    pub view: Option<Result<ViewColumns>>,
}

/// Describes `config` on a table with `schema`, indexed by `index`.
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
