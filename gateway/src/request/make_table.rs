//! `MakeTable`: a table from data, under the name in the envelope.

use proscenium_actors::Fault;
use proscenium_actors::catalog::Host;
use proscenium_engine::EngineError;
use proscenium_proto::ClientResp;
use proscenium_proto::generated::{MakeTableReq, MakeTableResp};
use proscenium_proto::translate::data::{self, Source};

use super::Prepared;

pub fn prepare(request: MakeTableReq) -> Prepared {
    let options = request.options.unwrap_or_default();
    let data = match data::from_wire(request.data) {
        Ok(Some(Source::Data(data))) => data,
        Ok(Some(Source::View(_))) => {
            return Prepared::refused(EngineError::Unsupported("MakeTable from a view".into()));
        }
        Ok(None) => return Prepared::refused(Fault::refused("MakeTableReq malformed")),
        Err(error) => return Prepared::refused(error),
    };
    if options.view_schema.is_some() {
        return Prepared::refused(Fault::refused("`schema` is only valid when making a Table from a View"));
    }
    Prepared::making_table(move |call| {
        let name = call.entity_id().to_string();
        let catalog = call.catalog().clone();
        let reply = call.reply(|()| ClientResp::MakeTableResp(MakeTableResp {}));
        catalog.offer_host(Host { name, data, options: data::options_from_wire(&options), reply });
    })
}
