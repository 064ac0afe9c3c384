//! `TableSize`: returns the number of rows.

use proscenium_actors::table::GetSize;
use proscenium_proto::ClientResp;
use proscenium_proto::generated::{TableSizeReq, TableSizeResp};

use super::Prepared;
use super::call::send;

pub fn prepare(_: TableSizeReq) -> Prepared {
    Prepared::table(|call, table| {
        // A table holds at most `u32::MAX` rows.
        let reply = call.reply(|size| ClientResp::TableSizeResp(TableSizeResp { size: size as u32 }));
        send(&table.mailbox, GetSize { reply })
    })
}
