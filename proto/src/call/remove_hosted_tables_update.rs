//! `RemoveHostedTablesUpdate`: ends the subscription of a `GetHostedTables`.

use proscenium_engine::hosting::{CatalogCommand, Command};

use crate::ClientResp;
use crate::generated::{RemoveHostedTablesUpdateReq, RemoveHostedTablesUpdateResp};

pub(super) fn decode(request: RemoveHostedTablesUpdateReq) -> Command {
    Command::Catalog(CatalogCommand::UnwatchTables { subscription: request.id })
}

pub(super) fn encode() -> ClientResp {
    ClientResp::RemoveHostedTablesUpdateResp(RemoveHostedTablesUpdateResp {})
}
