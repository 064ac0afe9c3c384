//! `MakeTable`: creates a table from data or from a view, under the name in the envelope.

use proscenium_engine::error::RequestError;
use proscenium_engine::hosting::{CatalogCommand, Command, TableOrigin};
use proscenium_engine::{EngineError, Result, TableData};

use crate::ClientResp;
use crate::generated::make_table_req::MakeTableOptions;
use crate::generated::{MakeTableReq, MakeTableResp};
use crate::translate::data::{self, Source};
use crate::translate::schema;

pub(super) fn decode(request: MakeTableReq) -> Result<Command> {
    let options = request.options.unwrap_or_default();
    let origin = match data::from_wire(request.data)? {
        Some(Source::Data(data)) => from_data(data, options)?,
        Some(Source::View(view_id)) => from_view(view_id, options)?,
        None => return Err(malformed("MakeTableReq malformed")),
    };
    Ok(Command::Catalog(CatalogCommand::CreateTable(origin)))
}

fn from_data(data: TableData, options: MakeTableOptions) -> Result<TableOrigin> {
    if options.view_schema.is_some() {
        return Err(malformed("`schema` is only valid when making a Table from a View"));
    }
    Ok(TableOrigin::Data { data, options: data::options_from_wire(&options) })
}

fn from_view(view_id: String, options: MakeTableOptions) -> Result<TableOrigin> {
    if options.make_table_type.is_some() {
        return Err(malformed("`index` and `limit` cannot be set on a Table made from a View"));
    }
    let columns = options.view_schema.map(schema::from_wire).transpose()?;
    Ok(TableOrigin::View { view_id, columns })
}

pub(super) fn encode() -> ClientResp {
    ClientResp::MakeTableResp(MakeTableResp {})
}

fn malformed(reason: &str) -> EngineError {
    RequestError::Malformed { reason: reason.to_owned() }.into()
}
