//! `ViewDelete`: closes a view.

use proscenium_actors::table::CloseView;
use proscenium_proto::ClientResp;
use proscenium_proto::generated::{ViewDeleteReq, ViewDeleteResp};

use super::Prepared;
use super::call::send;

pub fn prepare(_: ViewDeleteReq) -> Prepared {
    Prepared::view(|call, table| {
        let view_id = call.entity_id().to_string();
        let reply = call.reply(|()| ClientResp::ViewDeleteResp(ViewDeleteResp {}));
        send(&table.mailbox, CloseView { view_id, reply })
    })
    .closing()
}
