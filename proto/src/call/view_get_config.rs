//! `ViewGetConfig`: returns the view's configuration, with all defaults filled in.

use proscenium_engine::hosting::{Command, ViewCommand};
use proscenium_engine::view::Plan;

use crate::ClientResp;
use crate::generated::{ViewGetConfigReq, ViewGetConfigResp};
use crate::translate::view_config;

pub(super) fn decode(_: ViewGetConfigReq) -> Command {
    Command::View(ViewCommand::GetConfig)
}

pub(super) fn encode(plan: &Plan) -> ClientResp {
    let config = Some(view_config::to_wire(plan.config()));
    ClientResp::ViewGetConfigResp(ViewGetConfigResp { config })
}
