//! Commands that a table alone answers: they have no effect on views or other tables.

use std::collections::BTreeMap;

use super::Answer;
use crate::config::ViewConfig;
use crate::describe::describe;
use crate::table::Table;

impl Answer {
    /// The types and errors of expressions over a table.
    pub fn of_expressions(expressions: BTreeMap<String, String>, table: &Table) -> Answer {
        let config = ViewConfig {
            columns: Some(Vec::new()),
            expressions: expressions.clone(),
            ..ViewConfig::default()
        };
        let description = Box::new(describe(&config, table.schema(), table.index()));
        Answer::ValidatedExpressions { expressions, description }
    }

    /// The view that a configuration would give of a table. Errors of the configuration are part of the description.
    pub fn of_config(config: &ViewConfig, table: &Table) -> Answer {
        Answer::Description(Box::new(describe(config, table.schema(), table.index())))
    }
}
