//! `ViewOnUpdate`: subscribes to changes of the table, with the view's changed rows if a mode is given.

use proscenium_engine::hosting::{Command, Topic, ViewCommand};

use crate::generated::ViewOnUpdateReq;

pub(super) fn decode(request: ViewOnUpdateReq) -> Command {
    Command::View(ViewCommand::Subscribe(Topic::Update { rows: request.mode.is_some() }))
}
