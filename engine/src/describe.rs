//! What a config would give on a table, without building anything.
//!
//! Law: a description is what [`Plan::new`] says, expression by expression and then as a whole.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::config::ViewConfig;
use crate::error::Result;
use crate::schema::{ColumnType, Schema};
use crate::view::Plan;

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

/// Describes `config` on a table with `schema`.
pub fn describe(config: &ViewConfig, schema: &Schema) -> Description {
    let mut description = Description::default();
    for (alias, text) in &config.expressions {
        let alone = ViewConfig {
            columns: Some(Vec::new()),
            expressions: BTreeMap::from([(alias.clone(), text.clone())]),
            ..ViewConfig::default()
        };
        match Plan::new(&alone, schema) {
            Ok(plan) => {
                let typed = plan.expression_schema().into_iter().find(|(name, _)| **name == **alias);
                if let Some((_, column_type)) = typed {
                    description.expressions.insert(alias.clone(), column_type);
                }
            }
            Err(error) => {
                let fault = ExpressionFault { message: error.to_string(), line: 0, column: 0 };
                description.faults.insert(alias.clone(), fault);
            }
        }
    }
    if description.faults.is_empty() {
        description.view = Some(Plan::new(config, schema).map(|plan| plan.schema()));
    }
    description
}
