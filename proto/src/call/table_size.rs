//! `TableSize`: returns the number of rows.

use proscenium_engine::hosting::{Command, TableCommand};

use crate::ClientResp;
use crate::generated::{TableSizeReq, TableSizeResp};

pub(super) fn decode(_: TableSizeReq) -> Command {
    Command::Table(TableCommand::GetSize)
}

pub(super) fn encode(num_rows: usize) -> ClientResp {
    // A table holds at most `u32::MAX` rows.
    ClientResp::TableSizeResp(TableSizeResp { size: num_rows as u32 })
}
