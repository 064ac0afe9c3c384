//! `ViewOnRemove`: subscribes to the keys of removed rows.

use proscenium_actors::table::{Subscribe, Topic};
use proscenium_proto::generated::ViewOnRemoveReq;

use super::Prepared;
use super::call::send;

pub fn prepare(_: ViewOnRemoveReq) -> Prepared {
    Prepared::view(|call, table| {
        let view_id = call.entity_id().to_string();
        let topic = Topic::Remove;
        let subscriber = match call.subscriber() {
            Ok(subscriber) => subscriber,
            Err(error) => return call.refuse_now(error),
        };
        send(&table.mailbox, Subscribe { view_id, topic, subscriber, reply: call.reply_errors() })
    })
}
