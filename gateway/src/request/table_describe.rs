//! `TableDescribe` (5.6 clients): describes the view that a configuration would give.

use proscenium_actors::table::Describe;
use proscenium_proto::generated::TableDescribeReq;
use proscenium_proto::translate::{describe, view_config};
use proscenium_proto::{ClientGeneration, ClientResp};

use super::Prepared;
use super::call::send;

pub fn prepare(request: TableDescribeReq, client: ClientGeneration) -> Prepared {
    let config = match view_config::from_wire(request.config, client.generation()) {
        Ok(config) => config,
        Err(error) => return Prepared::refused(error),
    };
    Prepared::table(|call, table| {
        let reply = call.reply(|description| ClientResp::TableDescribeResp(describe::to_wire(&description)));
        send(&table.mailbox, Describe { config, reply })
    })
}
