//! Building responses.

use bytes::Bytes;

use crate::frame;
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

/// A message without its `msg_id`, encoded once and shared by all its receivers.
///
/// Protobuf fields may come in any order, so each receiver's number is put behind the shared part.
#[derive(Clone, PartialEq, Eq)]
pub struct SharedResponse(Bytes);

impl SharedResponse {
    pub fn new(entity_id: impl Into<String>, response: ClientResp) -> Self {
        SharedResponse(frame::encode(&answer(0, entity_id, response)))
    }

    /// Bytes of the shared part.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The frame for the receiver that knows it as `msg_id`.
    pub fn addressed_to(&self, msg_id: u32) -> Bytes {
        let mut frame = Vec::with_capacity(self.0.len() + 6);
        frame.extend_from_slice(&self.0);
        if msg_id != 0 {
            prost::encoding::uint32::encode(1, &msg_id, &mut frame);
        }
        frame.into()
    }
}

impl std::fmt::Debug for SharedResponse {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SharedResponse({} bytes)", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use prost::Message;

    use super::*;
    use crate::generated::ViewOnUpdateResp;

    #[test]
    fn a_shared_response_is_addressed_to_each_receiver() {
        let news = ClientResp::ViewOnUpdateResp(ViewOnUpdateResp {
            delta: Some(Bytes::from_static(b"d")),
            port_id: 3,
        });
        let shared = SharedResponse::new("view", news.clone());
        for msg_id in [0, 1, u32::MAX] {
            let read = Response::decode(shared.addressed_to(msg_id)).unwrap();
            assert_eq!(read, answer(msg_id, "view", news.clone()));
        }
    }
}
