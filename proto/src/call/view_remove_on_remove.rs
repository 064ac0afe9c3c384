//! `ViewRemoveOnRemove`: ends the subscription of a `ViewOnRemove`.

use proscenium_engine::hosting::{Command, Topic, ViewCommand};

use crate::ClientResp;
use crate::generated::{ViewRemoveOnRemoveReq, ViewRemoveOnRemoveResp};

pub(super) fn decode(request: ViewRemoveOnRemoveReq) -> Command {
    Command::View(ViewCommand::Unsubscribe { topic: Topic::Remove, subscription: request.id })
}

pub(super) fn encode() -> ClientResp {
    ClientResp::ViewRemoveOnRemoveResp(ViewRemoveOnRemoveResp {})
}
