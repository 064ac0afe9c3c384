//! `ViewRemoveOnUpdate`: ends the subscription of a `ViewOnUpdate`; an unknown one is ignored.

use proscenium_engine::hosting::{Command, Topic, ViewCommand};

use crate::ClientResp;
use crate::generated::{ViewRemoveOnUpdateReq, ViewRemoveOnUpdateResp};

pub(super) fn decode(request: ViewRemoveOnUpdateReq) -> Command {
    Command::View(ViewCommand::Unsubscribe { topic: Topic::Update { rows: false }, subscription: request.id })
}

pub(super) fn encode() -> ClientResp {
    ClientResp::ViewRemoveOnUpdateResp(ViewRemoveOnUpdateResp {})
}
