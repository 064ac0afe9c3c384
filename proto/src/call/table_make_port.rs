//! `TableMakePort`: creates a port for updates.

use proscenium_engine::hosting::{Command, TableCommand};

use crate::ClientResp;
use crate::generated::{TableMakePortReq, TableMakePortResp};

pub(super) fn decode(_: TableMakePortReq) -> Command {
    Command::Table(TableCommand::MakePort)
}

pub(super) fn encode(port_id: u32) -> ClientResp {
    ClientResp::TableMakePortResp(TableMakePortResp { port_id })
}
