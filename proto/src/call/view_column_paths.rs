//! `ViewColumnPaths`: returns the names of the visible columns, for both generations.

use proscenium_engine::hosting::{ColumnPaths, Command, ViewCommand, ViewRead};

use crate::ClientResp;
use crate::generated::ViewColumnPathsReq;
use crate::translate::column_paths;

pub(super) fn decode(request: ViewColumnPathsReq) -> Command {
    let ViewColumnPathsReq { start_col, end_col } = request;
    Command::View(ViewCommand::Read(ViewRead::ColumnPaths { start_col, end_col }))
}

pub(super) fn encode(paths: &ColumnPaths) -> ClientResp {
    ClientResp::ViewColumnPathsResp(column_paths::to_wire(&paths.names, &paths.levels))
}
