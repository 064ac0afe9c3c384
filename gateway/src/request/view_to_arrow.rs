//! `ViewToArrow`: returns a slice of the view as an Arrow stream.

use proscenium_actors::view::Read;
use proscenium_proto::ClientGeneration;
use proscenium_proto::generated::ViewToArrowReq;
use proscenium_proto::response::LongReply;
use proscenium_proto::translate::viewport;

use super::Prepared;

pub fn prepare(request: ViewToArrowReq, client: ClientGeneration) -> Prepared {
    let compression = match viewport::compression(request.compression.as_deref()) {
        Ok(compression) => compression,
        Err(error) => return Prepared::refused(error),
    };
    let naming = client.naming(request.viewport.as_ref());
    let viewport = viewport::from_wire(request.viewport.as_ref());
    Prepared::read(move |call| {
        let reply = call.reply_long(LongReply::Arrow);
        Read::Arrow { viewport, naming, compression, reply }
    })
}
