//! `TableMakeView`: opens a view under the id that the client chose.

use proscenium_actors::table::OpenView;
use proscenium_proto::generated::{TableMakeViewReq, TableMakeViewResp};
use proscenium_proto::translate::view_config;
use proscenium_proto::{ClientGeneration, ClientResp};

use super::Prepared;
use super::call::send;

pub fn prepare(request: TableMakeViewReq, client: ClientGeneration) -> Prepared {
    let config = match view_config::from_wire(request.config, client.generation()) {
        Ok(config) => config,
        Err(error) => return Prepared::refused(error),
    };
    let view_id = request.view_id;
    let opens = view_id.clone();
    Prepared::table(move |call, table| {
        let owner = call.session();
        // Clients compare the id with the one that they chose.
        let echo = view_id.clone();
        let reply = call.reply(|()| ClientResp::TableMakeViewResp(TableMakeViewResp { view_id: echo }));
        send(&table.mailbox, OpenView { view_id, config, owner, reply })
    })
    .opening(opens)
}
