//! `ViewSetDepth`: expands all groups down to a depth.

use proscenium_actors::view::Read;
use proscenium_proto::ClientResp;
use proscenium_proto::generated::{ViewSetDepthReq, ViewSetDepthResp};

use super::Prepared;

pub fn prepare(request: ViewSetDepthReq) -> Prepared {
    Prepared::read(move |call| Read::SetDepth {
        depth: request.depth,
        reply: call.reply(|()| ClientResp::ViewSetDepthResp(ViewSetDepthResp {})),
    })
}
