//! `ViewExpand`: expands the group of a row.

use proscenium_engine::hosting::{Command, ViewCommand, ViewRead};

use crate::ClientResp;
use crate::generated::{ViewExpandReq, ViewExpandResp};

pub(super) fn decode(request: ViewExpandReq) -> Command {
    Command::View(ViewCommand::Read(ViewRead::Expand { row: request.row_index }))
}

pub(super) fn encode(num_changed: u32) -> ClientResp {
    ClientResp::ViewExpandResp(ViewExpandResp { num_changed })
}
