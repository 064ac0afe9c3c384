//! `TableUpdate`: inserts and updates rows, through a port.

use proscenium_engine::hosting::{Command, TableCommand, Write};
use proscenium_engine::{Result, WriteOptions};

use crate::ClientResp;
use crate::generated::{TableUpdateReq, TableUpdateResp};
use crate::translate::data;

pub(super) fn decode(request: TableUpdateReq) -> Result<Command> {
    let data = data::rows_from_wire(request.data, "TableUpdateReq")?;
    let write = Write::Update { data, port_id: request.port_id, options: WriteOptions::default() };
    Ok(Command::Table(TableCommand::Write(write)))
}

pub(super) fn encode() -> ClientResp {
    ClientResp::TableUpdateResp(TableUpdateResp {})
}
