//! `ViewOnUpdate`: subscribes to changes of the table, with the view's changed rows if a mode is given.

use proscenium_actors::table::{Subscribe, Topic};
use proscenium_proto::generated::ViewOnUpdateReq;

use super::Prepared;
use super::call::send;

pub fn prepare(request: ViewOnUpdateReq) -> Prepared {
    Prepared::view(move |call, table| {
        let view_id = call.entity_id().to_string();
        let topic = Topic::Update { rows: request.mode.is_some() };
        let subscriber = match call.subscriber() {
            Ok(subscriber) => subscriber,
            Err(error) => return call.refuse_now(error),
        };
        send(&table.mailbox, Subscribe { view_id, topic, subscriber, reply: call.reply_errors() })
    })
}
