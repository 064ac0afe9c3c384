//! `TableRemove`: removes rows by key.

use proscenium_actors::ActorError;
use proscenium_actors::table::RemoveRows;
use proscenium_proto::ClientResp;
use proscenium_proto::generated::{TableRemoveReq, TableRemoveResp};
use proscenium_proto::translate::data::{self, Source};

use super::Prepared;
use super::call::send;

pub fn prepare(request: TableRemoveReq) -> Prepared {
    let data = match data::from_wire(request.data) {
        Ok(Some(Source::Data(data))) => data,
        Ok(Some(Source::View(_)) | None) => {
            return Prepared::refused(ActorError::refused("TableRemoveReq malformed"));
        }
        Err(error) => return Prepared::refused(error),
    };
    Prepared::table(|call, table| {
        let reply = call.reply(|()| ClientResp::TableRemoveResp(TableRemoveResp {}));
        send(&table.mailbox, RemoveRows { data, reply })
    })
}
