//! `ViewToNdjsonString`: returns a slice of the view as newline-delimited JSON.

use proscenium_engine::export::TextFormat;
use proscenium_engine::hosting::{Command, SliceFormat, SliceRequest, ViewCommand};

use crate::generated::ViewToNdjsonStringReq;
use crate::translate::viewport;

pub(super) fn decode(request: ViewToNdjsonStringReq) -> Command {
    let options = viewport::json_options(request.id, request.index, request.formatted);
    let viewport = viewport::from_wire(request.viewport.as_ref());
    let format = SliceFormat::Text(TextFormat::Ndjson(options));
    Command::View(ViewCommand::Slice(SliceRequest { viewport, format }))
}
