//! `ViewExpressionSchema`: returns the expressions and their types.

use proscenium_engine::hosting::{Command, ViewCommand};
use proscenium_engine::view::Plan;

use crate::ClientResp;
use crate::generated::{ViewExpressionSchemaReq, ViewExpressionSchemaResp};
use crate::translate::schema;

pub(super) fn decode(_: ViewExpressionSchemaReq) -> Command {
    Command::View(ViewCommand::GetExpressionSchema)
}

pub(super) fn encode(plan: &Plan) -> ClientResp {
    let columns = plan.expression_schema();
    let schema = schema::map_to_wire(columns.iter().map(|(name, column_type)| (name, column_type)));
    ClientResp::ViewExpressionSchemaResp(ViewExpressionSchemaResp { schema })
}
