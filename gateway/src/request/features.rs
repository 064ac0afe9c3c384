//! `GetFeatures`: returns the server's features, from which the viewer builds its menus.

use proscenium_proto::ClientResp;
use proscenium_proto::generated::GetFeaturesReq;
use proscenium_proto::translate::features::features;

use super::Prepared;

/// Whether a table can be created from a view of this server.
const VIEW_DERIVATIONS: bool = true;

pub fn prepare(_: GetFeaturesReq) -> Prepared {
    Prepared::server(|call| call.respond(ClientResp::GetFeaturesResp(features(VIEW_DERIVATIONS))))
}
