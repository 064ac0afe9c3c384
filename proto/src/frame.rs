//! Decodes and encodes frames. A frame is one WebSocket or worker message and contains exactly one protobuf message.
//!
//! Invariant: decoding never panics. An undecodable frame is an error with the `msg_id` and `entity_id` as far as they
//! could be read, so that the client that waits for this reply gets an error.

use bytes::{Buf, Bytes};
use prost::Message;
use prost::encoding::{DecodeContext, WireType, decode_key, skip_field};

use crate::generated::{Request, Response};

/// Bytes that are not a request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("undecodable request: {reason}")]
pub struct UndecodableRequest {
    /// As far as it could be read; 0 otherwise.
    pub msg_id: u32,
    /// As far as it could be read; empty otherwise.
    pub entity_id: String,
    /// The decoder's error.
    pub reason: String,
}

/// Decodes a request. Unknown fields are skipped.
///
/// # Errors
///
/// The bytes are not a request.
pub fn decode(frame: Bytes) -> Result<Request, UndecodableRequest> {
    Request::decode(frame.clone()).map_err(|error| {
        let (msg_id, entity_id) = salvage(frame);
        UndecodableRequest { msg_id, entity_id, reason: error.to_string() }
    })
}

/// Encodes a response.
pub fn encode(response: &Response) -> Bytes {
    response.encode_to_vec().into()
}

/// Reads the envelope's two scalar fields, up to the first malformed field.
fn salvage(mut frame: Bytes) -> (u32, String) {
    let mut msg_id = 0;
    let mut entity_id = String::new();
    while frame.has_remaining() {
        let Ok((tag, wire_type)) = decode_key(&mut frame) else { break };
        let read = match (tag, wire_type) {
            (1, WireType::Varint) => {
                prost::encoding::uint32::merge(wire_type, &mut msg_id, &mut frame, DecodeContext::default())
            }
            (2, WireType::LengthDelimited) => prost::encoding::string::merge(
                wire_type,
                &mut entity_id,
                &mut frame,
                DecodeContext::default(),
            ),
            _ => skip_field(wire_type, tag, &mut frame, DecodeContext::default()),
        };
        if read.is_err() {
            break;
        }
    }
    (msg_id, entity_id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generated::request::ClientReq;
    use crate::generated::{TableSizeReq, ViewExpandReq};

    #[test]
    fn garbage_is_an_error_and_not_a_panic() {
        for garbage in
            [&[0xff_u8; 40][..], &[0x0a], &[0x08], b"\x12\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", b"text"]
        {
            assert!(decode(Bytes::copy_from_slice(garbage)).is_err(), "{garbage:?}");
        }
    }

    #[test]
    fn an_empty_frame_is_an_empty_request() {
        assert_eq!(decode(Bytes::new()), Ok(Request::default()));
    }

    #[test]
    fn a_truncated_request_keeps_its_number() {
        let request = Request {
            msg_id: 7,
            entity_id: "orders".into(),
            client_req: Some(ClientReq::ViewExpandReq(ViewExpandReq { row_index: 300 })),
        };
        let whole = request.encode_to_vec();
        let error = decode(Bytes::copy_from_slice(&whole[..whole.len() - 1])).unwrap_err();
        assert_eq!((error.msg_id, error.entity_id.as_str()), (7, "orders"));
    }

    #[test]
    fn unknown_fields_are_skipped() {
        let request = Request {
            msg_id: u32::MAX,
            entity_id: String::new(),
            client_req: Some(ClientReq::TableSizeReq(TableSizeReq {})),
        };
        let mut bytes = request.encode_to_vec();
        // Field 2047, length-delimited, three bytes.
        bytes.extend([0xfa, 0x7f, 3, 1, 2, 3]);
        assert_eq!(decode(bytes.into()), Ok(request));
    }
}
