//! `GetFeatures`: what the viewer builds its menus from.

use proscenium_proto::ClientResp;
use proscenium_proto::generated::GetFeaturesReq;
use proscenium_proto::translate::features::features;

use super::Prepared;

/// Whether a table can be made from a view of this server.
const VIEW_DERIVATIONS: bool = true;

pub fn prepare(_: GetFeaturesReq) -> Prepared {
    Prepared::server(|call| call.answer(ClientResp::GetFeaturesResp(features(VIEW_DERIVATIONS))))
}
