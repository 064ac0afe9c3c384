//! `TableDelete`: at once, or with the last view.

use proscenium_actors::table::DeleteTable;
use proscenium_proto::ClientResp;
use proscenium_proto::generated::{TableDeleteReq, TableDeleteResp};

use super::call::send;
use super::{Call, Prepared};

pub fn prepare(request: TableDeleteReq) -> Prepared {
    Prepared::deleting_table(move |mut call, table| {
        let understood = call.take_done();
        let reply = call.reply(|()| DELETED);
        send(&table.mailbox, DeleteTable { lazy: !request.is_immediate, reply, understood })
    })
    // What is not there is deleted.
    .or_missing(|call: Call, _| call.answer(DELETED))
}

const DELETED: ClientResp = ClientResp::TableDeleteResp(TableDeleteResp {});
