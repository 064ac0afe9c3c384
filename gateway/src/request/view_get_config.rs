//! `ViewGetConfig`: returns the view's configuration, with all defaults filled in.

use std::sync::Arc;

use proscenium_actors::table::GetPlan;
use proscenium_engine::view::Plan;
use proscenium_proto::ClientResp;
use proscenium_proto::generated::{ViewGetConfigReq, ViewGetConfigResp};
use proscenium_proto::translate::view_config;

use super::Prepared;
use super::call::send;

pub fn prepare(_: ViewGetConfigReq) -> Prepared {
    Prepared::view(|call, table| {
        let view_id = call.entity_id().to_string();
        let reply = call.reply(|plan: Arc<Plan>| {
            let config = Some(view_config::to_wire(plan.config()));
            ClientResp::ViewGetConfigResp(ViewGetConfigResp { config })
        });
        send(&table.mailbox, GetPlan { view_id, reply })
    })
}
