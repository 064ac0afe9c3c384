//! `ViewRemoveOnUpdate`: ends the subscription of a `ViewOnUpdate`; an unknown one is ignored.

use proscenium_actors::table::{Topic, Unsubscribe};
use proscenium_proto::ClientResp;
use proscenium_proto::generated::{ViewRemoveOnUpdateReq, ViewRemoveOnUpdateResp};

use super::call::send;
use super::{Call, Prepared};

const ENDED: ClientResp = ClientResp::ViewRemoveOnUpdateResp(ViewRemoveOnUpdateResp {});

pub fn prepare(request: ViewRemoveOnUpdateReq) -> Prepared {
    Prepared::view(move |call, table| {
        let (view_id, session) = (call.entity_id().to_string(), call.session());
        let reply = call.reply_always(ENDED);
        let topic = Topic::Update { rows: false };
        send(&table.mailbox, Unsubscribe { view_id, topic, session, msg_id: request.id, reply })
    })
    .or_missing(|call: Call, _| call.respond(ENDED))
}
