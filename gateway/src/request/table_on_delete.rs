//! `TableOnDelete`: subscribes to the deletion of a table. Has no reply, even if there is no such table.

use proscenium_actors::table::WatchTable;
use proscenium_proto::generated::TableOnDeleteReq;

use super::call::send;
use super::{Call, Prepared};

pub fn prepare(_: TableOnDeleteReq) -> Prepared {
    Prepared::table(|call, table| match call.subscriber() {
        Ok(subscriber) => send(&table.mailbox, WatchTable { subscriber }),
        Err(error) => call.refuse_now(error),
    })
    .or_missing(|_: Call, _| {})
}
