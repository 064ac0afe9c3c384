//! `GetHostedTables`: returns the list of tables, or subscribes to its changes.

use proscenium_engine::hosting::{self, CatalogCommand, Command};

use crate::ClientResp;
use crate::generated::{GetHostedTablesReq, GetHostedTablesResp, HostedTable};

pub(super) fn decode(request: GetHostedTablesReq) -> Command {
    Command::Catalog(match request.subscribe {
        true => CatalogCommand::WatchTables,
        false => CatalogCommand::ListTables,
    })
}

pub(super) fn encode(tables: Vec<hosting::HostedTable>) -> ClientResp {
    let to_wire = |table: hosting::HostedTable| HostedTable {
        entity_id: table.name.to_string(),
        index: table.index,
        limit: table.limit,
    };
    let table_infos = tables.into_iter().map(to_wire).collect();
    ClientResp::GetHostedTablesResp(GetHostedTablesResp { table_infos })
}
