//! `ViewOnDelete`: subscribes to the deletion of a view. Has no reply, even if there is no such view.

use proscenium_actors::Reply;
use proscenium_actors::table::{Subscribe, Topic};
use proscenium_proto::generated::ViewOnDeleteReq;

use super::call::send;
use super::{Call, Prepared};

pub fn prepare(_: ViewOnDeleteReq) -> Prepared {
    Prepared::view(|call, table| {
        let view_id = call.entity_id().to_string();
        let subscriber = match call.subscriber() {
            Ok(subscriber) => subscriber,
            Err(error) => return call.refuse_now(error),
        };
        send(&table.mailbox, Subscribe { view_id, topic: Topic::Delete, subscriber, reply: Reply::ignored() })
    })
    .or_missing(|_: Call, _| {})
}
