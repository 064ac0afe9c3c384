//! `ViewToCsv`: returns a slice of the view as CSV.

use proscenium_engine::export::TextFormat;
use proscenium_engine::hosting::{Command, SliceFormat, SliceRequest, ViewCommand};

use crate::ClientGeneration;
use crate::generated::ViewToCsvReq;
use crate::translate::viewport;

pub(super) fn decode(request: ViewToCsvReq, client: ClientGeneration) -> Command {
    let viewport = viewport::from_wire(request.viewport.as_ref());
    let format = SliceFormat::Text(TextFormat::Csv(client.csv_naming()));
    Command::View(ViewCommand::Slice(SliceRequest { viewport, format }))
}
