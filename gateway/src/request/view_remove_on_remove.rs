//! `ViewRemoveOnRemove`: ends the subscription of a `ViewOnRemove`.

use proscenium_actors::table::{Topic, Unsubscribe};
use proscenium_proto::ClientResp;
use proscenium_proto::generated::{ViewRemoveOnRemoveReq, ViewRemoveOnRemoveResp};

use super::Prepared;
use super::call::send;

const ENDED: ClientResp = ClientResp::ViewRemoveOnRemoveResp(ViewRemoveOnRemoveResp {});

pub fn prepare(request: ViewRemoveOnRemoveReq) -> Prepared {
    Prepared::view(move |call, table| {
        let (view_id, session) = (call.entity_id().to_string(), call.session());
        let reply = call.reply(|()| ENDED);
        let topic = Topic::Remove;
        send(&table.mailbox, Unsubscribe { view_id, topic, session, msg_id: request.id, reply })
    })
}
