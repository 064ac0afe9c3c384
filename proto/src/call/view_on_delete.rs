//! `ViewOnDelete`: subscribes to the deletion of a view. Has no reply, even if there is no such view.

use proscenium_engine::hosting::{Command, Topic, ViewCommand};

use crate::generated::ViewOnDeleteReq;

pub(super) fn decode(_: ViewOnDeleteReq) -> Command {
    Command::View(ViewCommand::Subscribe(Topic::Delete))
}
