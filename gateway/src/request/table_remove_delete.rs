//! `TableRemoveDelete`: ends the subscription of a `TableOnDelete`.

use proscenium_actors::table::UnwatchTable;
use proscenium_proto::ClientResp;
use proscenium_proto::generated::{TableRemoveDeleteReq, TableRemoveDeleteResp};

use super::call::send;
use super::{Call, Prepared};

const ENDED: ClientResp = ClientResp::TableRemoveDeleteResp(TableRemoveDeleteResp {});

pub fn prepare(request: TableRemoveDeleteReq) -> Prepared {
    Prepared::table(move |call, table| {
        let session = call.session();
        send(&table.mailbox, UnwatchTable { session, msg_id: request.id, reply: call.reply_always(ENDED) })
    })
    .or_missing(|call: Call, _| call.respond(ENDED))
}
