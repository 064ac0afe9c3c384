//! `TableReplace`: replaces all rows, as one batch.

use proscenium_actors::ActorError;
use proscenium_actors::table::ReplaceRows;
use proscenium_engine::WriteOptions;
use proscenium_proto::ClientResp;
use proscenium_proto::generated::{TableReplaceReq, TableReplaceResp};
use proscenium_proto::translate::data::{self, Source};

use super::Prepared;
use super::call::send;

pub fn prepare(request: TableReplaceReq) -> Prepared {
    let data = match data::from_wire(request.data) {
        Ok(Some(Source::Data(data))) => data,
        Ok(Some(Source::View(_)) | None) => {
            return Prepared::refused(ActorError::refused("TableReplaceReq malformed"));
        }
        Err(error) => return Prepared::refused(error),
    };
    Prepared::table(|call, table| {
        let reply = call.reply(|()| ClientResp::TableReplaceResp(TableReplaceResp {}));
        send(&table.mailbox, ReplaceRows { data, options: WriteOptions::default(), reply })
    })
}
