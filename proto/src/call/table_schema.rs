//! `TableSchema`: returns the columns, in creation order.

use proscenium_engine::Schema;
use proscenium_engine::hosting::{Command, TableCommand};

use crate::ClientResp;
use crate::generated::{TableSchemaReq, TableSchemaResp};
use crate::translate::schema;

pub(super) fn decode(_: TableSchemaReq) -> Command {
    Command::Table(TableCommand::GetSchema)
}

pub(super) fn encode(columns: &Schema) -> ClientResp {
    ClientResp::TableSchemaResp(TableSchemaResp { schema: Some(schema::to_wire(columns)) })
}
