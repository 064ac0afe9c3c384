//! `ViewToColumnsString`: a window of the view as text.

use proscenium_actors::view::TextFormat;
use proscenium_proto::ClientResp;
use proscenium_proto::generated::{ViewToColumnsStringReq, ViewToColumnsStringResp};
use proscenium_proto::translate::viewport;

use super::Prepared;

pub fn prepare(request: ViewToColumnsStringReq) -> Prepared {
    let options = viewport::json_options(request.id, request.index, request.formatted);
    Prepared::text(
        viewport::from_wire(request.viewport.as_ref()),
        TextFormat::JsonColumns(options),
        |json_string| ClientResp::ViewToColumnsStringResp(ViewToColumnsStringResp { json_string }),
    )
}
