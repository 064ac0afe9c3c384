//! `ViewOnDelete`: tell me when the view is deleted. Silent, also about a view that is not there.

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
