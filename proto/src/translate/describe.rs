//! Converts the description of a view configuration, for `TableValidateExpr` (5.5 clients) and `TableDescribe` (5.6).

use std::collections::BTreeMap;

use proscenium_engine::describe::{Description, ExpressionFault};

use crate::generated as wire;
use crate::generated::table_describe_resp::{Result as Outcome, ViewDescription};
use crate::translate::{error_text, schema};

/// Builds the reply to `TableDescribe`. Clients accept three shapes only: a view; a configuration error; or expression
/// errors with neither.
pub fn to_wire(description: &Description) -> wire::TableDescribeResp {
    let result = description.view.as_ref().map(|view| match view {
        Ok(columns) => Outcome::View(ViewDescription {
            schema: schema::map_to_wire(columns.iter().map(|(name, column_type)| (name, column_type))),
        }),
        Err(error) => Outcome::ConfigError(error_text::text(error)),
    });
    wire::TableDescribeResp {
        expression_schema: types_to_wire(description),
        expression_errors: faults_to_wire(&description.faults),
        result,
    }
}

/// Builds the reply to `TableValidateExpr`. `expressions` are echoed, as clients expect.
pub fn expressions_to_wire(
    expressions: BTreeMap<String, String>,
    description: &Description,
) -> wire::TableValidateExprResp {
    wire::TableValidateExprResp {
        expression_schema: types_to_wire(description),
        errors: faults_to_wire(&description.faults),
        expression_alias: expressions,
    }
}

fn types_to_wire(description: &Description) -> BTreeMap<String, i32> {
    let types = description.expressions.iter();
    types.map(|(alias, column_type)| (alias.clone(), schema::type_to_wire(*column_type).into())).collect()
}

fn faults_to_wire(faults: &BTreeMap<String, ExpressionFault>) -> BTreeMap<String, wire::ExpressionError> {
    let faults = faults.iter();
    faults
        .map(|(alias, fault)| {
            let error = wire::ExpressionError {
                error_message: fault.message.clone(),
                line: fault.line,
                column: fault.column,
            };
            (alias.clone(), error)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use proscenium_engine::ColumnType;
    use proscenium_engine::error::{ConfigError, ViewClause};

    use super::*;

    #[test]
    fn a_view_without_columns_is_empty_but_there() {
        let description = Description { view: Some(Ok(Vec::new())), ..Default::default() };
        assert_eq!(to_wire(&description).result, Some(Outcome::View(ViewDescription::default())));
    }

    #[test]
    fn a_config_error_is_sent_with_the_types_of_valid_expressions() {
        let description = Description {
            expressions: BTreeMap::from([("e".into(), ColumnType::Float)]),
            faults: BTreeMap::new(),
            view: Some(Err(
                ConfigError::UnknownColumn { clause: ViewClause::GroupBy, column: "z".into() }.into()
            )),
        };
        let message = to_wire(&description);
        assert_eq!(message.expression_schema["e"], ColumnType::Float as i32);
        assert_eq!(
            message.result,
            Some(Outcome::ConfigError("Invalid column 'z' found in View group_by.\n".into()))
        );
    }

    #[test]
    fn faulty_expressions_leave_the_result_out() {
        let fault = ExpressionFault { message: "no".into(), line: 1, column: 2 };
        let description = Description { faults: BTreeMap::from([("e".into(), fault)]), ..Default::default() };
        let message = to_wire(&description);
        assert_eq!((message.expression_errors["e"].column, message.result), (2, None));
    }
}
