//! `RemoveHostedTablesUpdate`: ends a subscription to the list of tables.

use proscenium_proto::ClientResp;
use proscenium_proto::generated::{RemoveHostedTablesUpdateReq, RemoveHostedTablesUpdateResp};

use super::Prepared;

pub fn prepare(request: RemoveHostedTablesUpdateReq) -> Prepared {
    Prepared::catalog(move |call| {
        call.catalog().unwatch(call.session(), request.id);
        call.respond(ClientResp::RemoveHostedTablesUpdateResp(RemoveHostedTablesUpdateResp {}));
    })
}
