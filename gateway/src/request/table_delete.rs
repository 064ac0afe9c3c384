//! `TableDelete`: deletes a table, at once or with its last view.

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
    // Deleting a table that does not exist succeeds.
    .or_missing(|call: Call, _| call.respond(DELETED))
}

const DELETED: ClientResp = ClientResp::TableDeleteResp(TableDeleteResp {});
