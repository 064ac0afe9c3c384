//! `ViewSchema`: returns the columns and their types.

use proscenium_engine::hosting::{Command, ViewCommand};
use proscenium_engine::view::Plan;

use crate::ClientResp;
use crate::generated::{ViewSchemaReq, ViewSchemaResp};
use crate::translate::schema;

pub(super) fn decode(_: ViewSchemaReq) -> Command {
    Command::View(ViewCommand::GetSchema)
}

pub(super) fn encode(plan: &Plan) -> ClientResp {
    let columns = plan.schema();
    let schema = schema::map_to_wire(columns.iter().map(|(name, column_type)| (name, column_type)));
    ClientResp::ViewSchemaResp(ViewSchemaResp { schema })
}
