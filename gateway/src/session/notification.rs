//! Encodes notifications as frames of the protocol.

use bytes::Bytes;
use proscenium_actors::Notification;
use proscenium_proto::generated::{TableOnDeleteResp, ViewOnDeleteResp};
use proscenium_proto::translate::delta;
use proscenium_proto::{ClientResp, frame, response};

/// Encodes a notification. Records its delivery, so it must be written next.
pub fn encode(notification: Notification) -> Bytes {
    let response = match notification {
        Notification::Updated { msg_id, view_id, port_id, rows, applied_at } => {
            applied_at.delivered();
            response::build(msg_id, &*view_id, delta::updated(port_id, rows))
        }
        Notification::Removed { msg_id, view_id, port_id, keys } => {
            response::build(msg_id, &*view_id, delta::removed(port_id, keys))
        }
        Notification::ViewDeleted { msg_id, view_id } => {
            response::build(msg_id, &*view_id, ClientResp::ViewOnDeleteResp(ViewOnDeleteResp {}))
        }
        Notification::TableDeleted { msg_id, table } => {
            response::build(msg_id, &*table, ClientResp::TableOnDeleteResp(TableOnDeleteResp {}))
        }
        Notification::HostedChanged { msg_id } => response::hosted_tables_changed(msg_id),
    };
    frame::encode(&response)
}
