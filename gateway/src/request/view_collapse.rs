//! `ViewCollapse`: collapses the group of a row.

use proscenium_actors::view::Read;
use proscenium_proto::ClientResp;
use proscenium_proto::generated::{ViewCollapseReq, ViewCollapseResp};

use super::Prepared;

pub fn prepare(request: ViewCollapseReq) -> Prepared {
    Prepared::read(move |call| Read::Collapse {
        row: request.row_index,
        reply: call.reply(|num_changed| ClientResp::ViewCollapseResp(ViewCollapseResp { num_changed })),
    })
}
