//! `GetHostedTables`: returns the list of tables, or subscribes to its changes.

use proscenium_actors::directory::Hosted;
use proscenium_proto::ClientResp;
use proscenium_proto::generated::{GetHostedTablesReq, GetHostedTablesResp, HostedTable};

use super::Prepared;

pub fn prepare(request: GetHostedTablesReq) -> Prepared {
    Prepared::catalog(move |call| {
        if request.subscribe {
            return match call.subscriber() {
                Ok(subscriber) => call.catalog().watch(subscriber),
                Err(error) => call.refuse(error),
            };
        }
        let table_infos = call.catalog().list().into_iter().map(to_wire).collect();
        call.respond(ClientResp::GetHostedTablesResp(GetHostedTablesResp { table_infos }));
    })
}

fn to_wire(table: Hosted) -> HostedTable {
    HostedTable { entity_id: table.name.to_string(), index: table.index, limit: table.limit }
}
