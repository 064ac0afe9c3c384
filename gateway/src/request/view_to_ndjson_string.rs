//! `ViewToNdjsonString`: returns a slice of the view as newline-delimited JSON.

use proscenium_actors::view::TextFormat;
use proscenium_proto::generated::ViewToNdjsonStringReq;
use proscenium_proto::response::LongReply;
use proscenium_proto::translate::viewport;

use super::Prepared;

pub fn prepare(request: ViewToNdjsonStringReq) -> Prepared {
    let options = viewport::json_options(request.id, request.index, request.formatted);
    let viewport = viewport::from_wire(request.viewport.as_ref());
    Prepared::text(viewport, TextFormat::Ndjson(options), LongReply::NdjsonString)
}
