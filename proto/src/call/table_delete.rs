//! `TableDelete`: deletes a table, at once or with its last view.

use proscenium_engine::hosting::{Command, TableCommand};

use crate::ClientResp;
use crate::generated::{TableDeleteReq, TableDeleteResp};

pub(super) fn decode(request: TableDeleteReq) -> Command {
    Command::Table(TableCommand::Delete { lazy: !request.is_immediate })
}

pub(super) fn encode() -> ClientResp {
    ClientResp::TableDeleteResp(TableDeleteResp {})
}
