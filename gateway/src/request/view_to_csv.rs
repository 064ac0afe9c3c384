//! `ViewToCsv`: returns a slice of the view as CSV.

use proscenium_actors::view::TextFormat;
use proscenium_proto::ClientGeneration;
use proscenium_proto::generated::ViewToCsvReq;
use proscenium_proto::response::LongReply;
use proscenium_proto::translate::viewport;

use super::Prepared;

pub fn prepare(request: ViewToCsvReq, client: ClientGeneration) -> Prepared {
    let viewport = viewport::from_wire(request.viewport.as_ref());
    Prepared::text(viewport, TextFormat::Csv(client.csv_naming()), LongReply::Csv)
}
