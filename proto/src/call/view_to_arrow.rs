//! `ViewToArrow`: returns a slice of the view as an Arrow stream.

use proscenium_engine::Result;
use proscenium_engine::hosting::{Command, SliceFormat, SliceRequest, ViewCommand};

use crate::ClientGeneration;
use crate::generated::ViewToArrowReq;
use crate::translate::viewport;

pub(super) fn decode(request: ViewToArrowReq, client: ClientGeneration) -> Result<Command> {
    let compression = viewport::compression(request.compression.as_deref())?;
    let naming = client.naming(request.viewport.as_ref());
    let viewport = viewport::from_wire(request.viewport.as_ref());
    let format = SliceFormat::Arrow { naming, compression };
    Ok(Command::View(ViewCommand::Slice(SliceRequest { viewport, format })))
}
