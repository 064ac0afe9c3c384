//! `ViewSetDepth`: expands all groups down to a depth.

use proscenium_engine::hosting::{Command, ViewCommand, ViewRead};

use crate::ClientResp;
use crate::generated::{ViewSetDepthReq, ViewSetDepthResp};

pub(super) fn decode(request: ViewSetDepthReq) -> Command {
    Command::View(ViewCommand::Read(ViewRead::SetDepth { depth: request.depth }))
}

pub(super) fn encode() -> ClientResp {
    ClientResp::ViewSetDepthResp(ViewSetDepthResp {})
}
