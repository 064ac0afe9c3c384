//! `TableDescribe` (5.6 clients): describes the view that a configuration would give.

use proscenium_engine::Result;
use proscenium_engine::describe::Description;
use proscenium_engine::hosting::{Command, TableCommand};

use crate::generated::TableDescribeReq;
use crate::translate::{describe, view_config};
use crate::{ClientGeneration, ClientResp};

pub(super) fn decode(request: TableDescribeReq, client: ClientGeneration) -> Result<Command> {
    let config = view_config::from_wire(request.config, client.generation())?;
    Ok(Command::Table(TableCommand::DescribeView(Box::new(config))))
}

pub(super) fn encode(description: &Description) -> ClientResp {
    ClientResp::TableDescribeResp(describe::to_wire(description))
}
