//! `ViewSchema`: returns the columns and their types.

use std::sync::Arc;

use proscenium_actors::table::GetPlan;
use proscenium_engine::view::Plan;
use proscenium_proto::ClientResp;
use proscenium_proto::generated::{ViewSchemaReq, ViewSchemaResp};
use proscenium_proto::translate::schema;

use super::Prepared;
use super::call::send;

pub fn prepare(_: ViewSchemaReq) -> Prepared {
    Prepared::view(|call, table| {
        let view_id = call.entity_id().to_string();
        let reply = call.reply(|plan: Arc<Plan>| {
            let columns = plan.schema();
            let schema = schema::map_to_wire(columns.iter().map(|(name, column_type)| (name, column_type)));
            ClientResp::ViewSchemaResp(ViewSchemaResp { schema })
        });
        send(&table.mailbox, GetPlan { view_id, reply })
    })
}
