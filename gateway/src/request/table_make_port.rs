//! `TableMakePort`: creates a port for updates.

use proscenium_actors::table::MakePort;
use proscenium_proto::ClientResp;
use proscenium_proto::generated::{TableMakePortReq, TableMakePortResp};

use super::Prepared;
use super::call::send;

pub fn prepare(_: TableMakePortReq) -> Prepared {
    Prepared::table(|call, table| {
        let reply = call.reply(|port_id| ClientResp::TableMakePortResp(TableMakePortResp { port_id }));
        send(&table.mailbox, MakePort { reply })
    })
}
