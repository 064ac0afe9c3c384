//! `MakeTable`: creates a table from data or from a view, under the name in the envelope.

use proscenium_actors::ActorError;
use proscenium_actors::catalog::{Host, HostDerived};
use proscenium_engine::TableData;
use proscenium_proto::ClientResp;
use proscenium_proto::generated::make_table_req::MakeTableOptions;
use proscenium_proto::generated::{MakeTableReq, MakeTableResp};
use proscenium_proto::translate::data::{self, Source};
use proscenium_proto::translate::schema;

use super::Prepared;
use super::call::send;

const MADE: ClientResp = ClientResp::MakeTableResp(MakeTableResp {});

pub fn prepare(request: MakeTableReq) -> Prepared {
    let options = request.options.unwrap_or_default();
    match data::from_wire(request.data) {
        Ok(Some(Source::Data(data))) => from_data(data, options),
        Ok(Some(Source::View(view_id))) => from_view(view_id, options),
        Ok(None) => Prepared::refused(ActorError::refused("MakeTableReq malformed")),
        Err(error) => Prepared::refused(error),
    }
}

fn from_data(data: TableData, options: MakeTableOptions) -> Prepared {
    if options.view_schema.is_some() {
        return Prepared::refused(ActorError::refused(
            "`schema` is only valid when making a Table from a View",
        ));
    }
    let options = data::options_from_wire(&options);
    Prepared::making_table(Vec::new(), Vec::new(), move |call| {
        let (catalog, name) = (call.catalog().clone(), call.entity_id().to_string());
        send(catalog.mailbox(), Host { name, data, options, reply: call.reply(|()| MADE) })
    })
}

fn from_view(view_id: String, options: MakeTableOptions) -> Prepared {
    if options.make_table_type.is_some() {
        let message = "`index` and `limit` cannot be set on a Table made from a View";
        return Prepared::refused(ActorError::refused(message));
    }
    let columns = match options.view_schema.map(schema::from_wire).transpose() {
        Ok(columns) => columns,
        Err(error) => return Prepared::refused(error),
    };
    Prepared::making_table(Vec::new(), vec![view_id.clone()], move |call| {
        let (catalog, name) = (call.catalog().clone(), call.entity_id().to_string());
        send(catalog.mailbox(), HostDerived { name, view_id, columns, reply: call.reply(|()| MADE) })
    })
}
