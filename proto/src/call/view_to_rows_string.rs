//! `ViewToRowsString`: returns a slice of the view as JSON, row by row.

use proscenium_engine::export::TextFormat;
use proscenium_engine::hosting::{Command, SliceFormat, SliceRequest, ViewCommand};

use crate::generated::ViewToRowsStringReq;
use crate::translate::viewport;

pub(super) fn decode(request: ViewToRowsStringReq) -> Command {
    let options = viewport::json_options(request.id, request.index, request.formatted);
    let viewport = viewport::from_wire(request.viewport.as_ref());
    let format = SliceFormat::Text(TextFormat::JsonRows(options));
    Command::View(ViewCommand::Slice(SliceRequest { viewport, format }))
}
