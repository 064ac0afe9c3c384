//! `MakeJoinTable`: creates a join of two tables, under the name in the envelope.

use proscenium_engine::Result;
use proscenium_engine::hosting::{CatalogCommand, Command, TableOrigin};

use crate::ClientResp;
use crate::generated::{MakeJoinTableReq, MakeJoinTableResp};
use crate::translate::join;

pub(super) fn decode(request: MakeJoinTableReq) -> Result<Command> {
    let (left, right) = (request.left_table_id.clone(), request.right_table_id.clone());
    let origin = TableOrigin::Join { left, right, spec: join::from_wire(request)? };
    Ok(Command::Catalog(CatalogCommand::CreateTable(origin)))
}

pub(super) fn encode() -> ClientResp {
    ClientResp::MakeJoinTableResp(MakeJoinTableResp {})
}
