//! `TableUpdate`: inserts and updates rows, through a port.

use proscenium_actors::ActorError;
use proscenium_actors::table::UpdateRows;
use proscenium_engine::WriteOptions;
use proscenium_proto::ClientResp;
use proscenium_proto::generated::{TableUpdateReq, TableUpdateResp};
use proscenium_proto::translate::data::{self, Source};

use super::Prepared;
use super::call::send;

pub fn prepare(request: TableUpdateReq) -> Prepared {
    let data = match data::from_wire(request.data) {
        Ok(Some(Source::Data(data))) => data,
        Ok(Some(Source::View(_)) | None) => {
            return Prepared::refused(ActorError::refused("TableUpdateReq malformed"));
        }
        Err(error) => return Prepared::refused(error),
    };
    let port_id = request.port_id;
    Prepared::table(move |call, table| {
        let reply = call.reply(|()| ClientResp::TableUpdateResp(TableUpdateResp {}));
        send(&table.mailbox, UpdateRows { data, port_id, options: WriteOptions::default(), reply })
    })
}
