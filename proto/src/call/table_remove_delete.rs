//! `TableRemoveDelete`: ends the subscription of a `TableOnDelete`; an unknown one is ignored.

use proscenium_engine::hosting::{Command, TableCommand};

use crate::ClientResp;
use crate::generated::{TableRemoveDeleteReq, TableRemoveDeleteResp};

pub(super) fn decode(request: TableRemoveDeleteReq) -> Command {
    Command::Table(TableCommand::UnwatchDeletion { subscription: request.id })
}

pub(super) fn encode() -> ClientResp {
    ClientResp::TableRemoveDeleteResp(TableRemoveDeleteResp {})
}
