//! `ViewToRowsString`: a window of the view as text.

use proscenium_actors::view::TextFormat;
use proscenium_proto::ClientResp;
use proscenium_proto::generated::{ViewToRowsStringReq, ViewToRowsStringResp};
use proscenium_proto::translate::viewport;

use super::Prepared;

pub fn prepare(request: ViewToRowsStringReq) -> Prepared {
    let options = viewport::json_options(request.id, request.index, request.formatted);
    Prepared::text(
        viewport::from_wire(request.viewport.as_ref()),
        TextFormat::JsonRows(options),
        |json_string| ClientResp::ViewToRowsStringResp(ViewToRowsStringResp { json_string }),
    )
}
