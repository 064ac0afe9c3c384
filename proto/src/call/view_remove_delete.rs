//! `ViewRemoveDelete`: ends the subscription of a `ViewOnDelete`; an unknown one is ignored.

use proscenium_engine::hosting::{Command, Topic, ViewCommand};

use crate::ClientResp;
use crate::generated::{ViewRemoveDeleteReq, ViewRemoveDeleteResp};

pub(super) fn decode(request: ViewRemoveDeleteReq) -> Command {
    Command::View(ViewCommand::Unsubscribe { topic: Topic::Delete, subscription: request.id })
}

pub(super) fn encode() -> ClientResp {
    ClientResp::ViewRemoveDeleteResp(ViewRemoveDeleteResp {})
}
