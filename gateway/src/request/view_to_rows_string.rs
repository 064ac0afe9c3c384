//! `ViewToRowsString`: returns a slice of the view as JSON, row by row.

use proscenium_actors::view::TextFormat;
use proscenium_proto::generated::ViewToRowsStringReq;
use proscenium_proto::response::LongReply;
use proscenium_proto::translate::viewport;

use super::Prepared;

pub fn prepare(request: ViewToRowsStringReq) -> Prepared {
    let options = viewport::json_options(request.id, request.index, request.formatted);
    let viewport = viewport::from_wire(request.viewport.as_ref());
    Prepared::text(viewport, TextFormat::JsonRows(options), LongReply::RowsString)
}
