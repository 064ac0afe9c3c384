//! `ViewCollapse`: collapses the group of a row.

use proscenium_engine::hosting::{Command, ViewCommand, ViewRead};

use crate::ClientResp;
use crate::generated::{ViewCollapseReq, ViewCollapseResp};

pub(super) fn decode(request: ViewCollapseReq) -> Command {
    Command::View(ViewCommand::Read(ViewRead::Collapse { row: request.row_index }))
}

pub(super) fn encode(num_changed: u32) -> ClientResp {
    ClientResp::ViewCollapseResp(ViewCollapseResp { num_changed })
}
