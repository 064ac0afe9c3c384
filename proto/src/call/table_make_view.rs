//! `TableMakeView`: opens a view under the id that the client chose.

use proscenium_engine::Result;
use proscenium_engine::hosting::{Command, TableCommand};

use crate::generated::{TableMakeViewReq, TableMakeViewResp};
use crate::translate::view_config;
use crate::{ClientGeneration, ClientResp};

pub(super) fn decode(request: TableMakeViewReq, client: ClientGeneration) -> Result<Command> {
    let config = Box::new(view_config::from_wire(request.config, client.generation())?);
    Ok(Command::Table(TableCommand::OpenView { view_id: request.view_id, config }))
}

/// Clients compare the id with the one that they chose.
pub(super) fn encode(view_id: &str) -> ClientResp {
    ClientResp::TableMakeViewResp(TableMakeViewResp { view_id: view_id.to_owned() })
}
