//! `TableOnDelete`: subscribes to the deletion of a table. Has no reply, even if there is no such table.

use proscenium_engine::hosting::{Command, TableCommand};

use crate::generated::TableOnDeleteReq;

pub(super) fn decode(_: TableOnDeleteReq) -> Command {
    Command::Table(TableCommand::WatchDeletion)
}
