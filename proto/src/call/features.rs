//! `GetFeatures`: returns the server's features, from which the viewer builds its menus.

use proscenium_engine::hosting::{Command, ServerCommand};

use crate::ClientResp;
use crate::generated::GetFeaturesReq;
use crate::translate::features::features;

/// Whether a table can be created from a view of this server.
const VIEW_DERIVATIONS: bool = true;

pub(super) fn decode(_: GetFeaturesReq) -> Command {
    Command::Server(ServerCommand::GetFeatures)
}

pub(super) fn encode() -> ClientResp {
    ClientResp::GetFeaturesResp(features(VIEW_DERIVATIONS))
}
