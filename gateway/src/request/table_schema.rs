//! `TableSchema`: returns the columns, in creation order.

use proscenium_actors::table::GetSchema;
use proscenium_engine::Schema;
use proscenium_proto::ClientResp;
use proscenium_proto::generated::{TableSchemaReq, TableSchemaResp};
use proscenium_proto::translate::schema;

use super::Prepared;
use super::call::send;

pub fn prepare(_: TableSchemaReq) -> Prepared {
    Prepared::table(|call, table| {
        let reply = call.reply(|columns: Schema| {
            ClientResp::TableSchemaResp(TableSchemaResp { schema: Some(schema::to_wire(&columns)) })
        });
        send(&table.mailbox, GetSchema { reply })
    })
}
