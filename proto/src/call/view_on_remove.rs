//! `ViewOnRemove`: subscribes to the keys of removed rows.

use proscenium_engine::hosting::{Command, Topic, ViewCommand};

use crate::generated::ViewOnRemoveReq;

pub(super) fn decode(_: ViewOnRemoveReq) -> Command {
    Command::View(ViewCommand::Subscribe(Topic::Remove))
}
