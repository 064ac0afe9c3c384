//! `ViewColumnPaths`: returns the names of the visible columns, for both generations.

use proscenium_actors::view::{ColumnPaths, Read};
use proscenium_proto::ClientResp;
use proscenium_proto::generated::ViewColumnPathsReq;
use proscenium_proto::translate::column_paths;

use super::Prepared;

pub fn prepare(request: ViewColumnPathsReq) -> Prepared {
    Prepared::read(move |call| Read::ColumnPaths {
        start_col: request.start_col,
        end_col: request.end_col,
        reply: call.reply(|paths: ColumnPaths| {
            ClientResp::ViewColumnPathsResp(column_paths::to_wire(&paths.names, &paths.levels))
        }),
    })
}
