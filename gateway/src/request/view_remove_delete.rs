//! `ViewRemoveDelete`: ends the subscription of a `ViewOnDelete`; an unknown one is ignored.

use proscenium_actors::table::{Topic, Unsubscribe};
use proscenium_proto::ClientResp;
use proscenium_proto::generated::{ViewRemoveDeleteReq, ViewRemoveDeleteResp};

use super::call::send;
use super::{Call, Prepared};

const ENDED: ClientResp = ClientResp::ViewRemoveDeleteResp(ViewRemoveDeleteResp {});

pub fn prepare(request: ViewRemoveDeleteReq) -> Prepared {
    Prepared::view(move |call, table| {
        let (view_id, session) = (call.entity_id().to_string(), call.session());
        let reply = call.reply_always(ENDED);
        let topic = Topic::Delete;
        send(&table.mailbox, Unsubscribe { view_id, topic, session, msg_id: request.id, reply })
    })
    .or_missing(|call: Call, _| call.respond(ENDED))
}
