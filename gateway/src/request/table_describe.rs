//! `TableDescribe` (new clients): what a config would give.

use proscenium_actors::table::Describe;
use proscenium_proto::ClientResp;
use proscenium_proto::generated::TableDescribeReq;
use proscenium_proto::translate::{describe, view_config};

use super::Prepared;
use super::call::send;

pub fn prepare(request: TableDescribeReq) -> Prepared {
    let config = match view_config::from_wire(request.config) {
        Ok(config) => config,
        Err(error) => return Prepared::refused(error),
    };
    Prepared::table(|call, table| {
        let reply = call.reply(|description| ClientResp::TableDescribeResp(describe::to_wire(&description)));
        send(&table.mailbox, Describe { config, reply })
    })
}
