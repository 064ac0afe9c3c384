//! `TableRemove`: removes rows by key.

use proscenium_engine::Result;
use proscenium_engine::hosting::{Command, TableCommand, Write};

use crate::ClientResp;
use crate::generated::{TableRemoveReq, TableRemoveResp};
use crate::translate::data;

pub(super) fn decode(request: TableRemoveReq) -> Result<Command> {
    let data = data::rows_from_wire(request.data, "TableRemoveReq")?;
    Ok(Command::Table(TableCommand::Write(Write::Remove { data })))
}

pub(super) fn encode() -> ClientResp {
    ClientResp::TableRemoveResp(TableRemoveResp {})
}
