//! `ViewExpand`: expands the group of a row.

use proscenium_actors::view::Read;
use proscenium_proto::ClientResp;
use proscenium_proto::generated::{ViewExpandReq, ViewExpandResp};

use super::Prepared;

pub fn prepare(request: ViewExpandReq) -> Prepared {
    Prepared::read(move |call| Read::Expand {
        row: request.row_index,
        reply: call.reply(|num_changed| ClientResp::ViewExpandResp(ViewExpandResp { num_changed })),
    })
}
