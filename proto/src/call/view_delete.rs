//! `ViewDelete`: closes a view.

use proscenium_engine::hosting::{Command, ViewCommand};

use crate::ClientResp;
use crate::generated::{ViewDeleteReq, ViewDeleteResp};

pub(super) fn decode(_: ViewDeleteReq) -> Command {
    Command::View(ViewCommand::Close)
}

pub(super) fn encode() -> ClientResp {
    ClientResp::ViewDeleteResp(ViewDeleteResp {})
}
