//! News → frames: what subscribers hear, in the protocol's words.

use bytes::Bytes;
use proscenium_actors::News;
use proscenium_proto::generated::{TableOnDeleteResp, ViewOnDeleteResp};
use proscenium_proto::translate::delta;
use proscenium_proto::{ClientResp, frame, response};

pub fn encode(news: News) -> Bytes {
    let response = match news {
        News::Updated { msg_id, view_id, port_id, rows, born } => {
            born.delivered();
            response::answer(msg_id, &*view_id, delta::updated(port_id, rows))
        }
        News::Removed { msg_id, view_id, port_id, keys } => {
            response::answer(msg_id, &*view_id, delta::removed(port_id, keys))
        }
        News::ViewDeleted { msg_id, view_id } => {
            response::answer(msg_id, &*view_id, ClientResp::ViewOnDeleteResp(ViewOnDeleteResp {}))
        }
        News::TableDeleted { msg_id, table } => {
            response::answer(msg_id, &*table, ClientResp::TableOnDeleteResp(TableOnDeleteResp {}))
        }
        News::HostedChanged { msg_id } => response::hosted_tables_changed(msg_id),
    };
    frame::encode(&response)
}
