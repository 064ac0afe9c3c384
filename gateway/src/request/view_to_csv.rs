//! `ViewToCsv`: a window of the view as CSV.

use proscenium_actors::view::TextFormat;
use proscenium_proto::ClientResp;
use proscenium_proto::generated::{ViewToCsvReq, ViewToCsvResp};
use proscenium_proto::translate::viewport;

use super::Prepared;

pub fn prepare(request: ViewToCsvReq) -> Prepared {
    Prepared::text(viewport::from_wire(request.viewport.as_ref()), TextFormat::Csv, |csv| {
        ClientResp::ViewToCsvResp(ViewToCsvResp { csv })
    })
}
