//! `TableReplace`: replaces all rows, as one batch.

use proscenium_engine::hosting::{Command, TableCommand, Write};
use proscenium_engine::{Result, WriteOptions};

use crate::ClientResp;
use crate::generated::{TableReplaceReq, TableReplaceResp};
use crate::translate::data;

pub(super) fn decode(request: TableReplaceReq) -> Result<Command> {
    let data = data::rows_from_wire(request.data, "TableReplaceReq")?;
    Ok(Command::Table(TableCommand::Write(Write::Replace { data, options: WriteOptions::default() })))
}

pub(super) fn encode() -> ClientResp {
    ClientResp::TableReplaceResp(TableReplaceResp {})
}
