//! Building responses.

use crate::generated::Response;
use crate::generated::response::ClientResp;

/// The answer to the request `msg_id` about `entity_id`.
pub fn answer(msg_id: u32, entity_id: impl Into<String>, response: ClientResp) -> Response {
    Response { msg_id, entity_id: entity_id.into(), client_resp: Some(response) }
}

/// News for a hosted-tables subscriber: nothing but the number of its subscription.
pub fn hosted_tables_changed(msg_id: u32) -> Response {
    Response { msg_id, entity_id: String::new(), client_resp: None }
}
