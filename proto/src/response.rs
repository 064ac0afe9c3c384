//! Builds responses.

use bytes::{Bytes, BytesMut};
use prost::Message;
use prost::encoding::{WireType, encode_key, encode_varint, encoded_len_varint, key_len};

use crate::generated::Response;
use crate::generated::response::ClientResp;

/// Builds the reply to the request `msg_id` about `entity_id`.
pub fn build(msg_id: u32, entity_id: impl Into<String>, response: ClientResp) -> Response {
    Response { msg_id, entity_id: entity_id.into(), client_resp: Some(response) }
}

/// Builds a notification for a subscriber to the list of tables. It carries only the subscription's number.
pub fn hosted_tables_changed(msg_id: u32) -> Response {
    Response { msg_id, entity_id: String::new(), client_resp: None }
}

/// The replies whose only content is a long text or byte string.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LongReply {
    /// `ViewToArrow`.
    Arrow,
    /// `ViewToColumnsString`.
    ColumnsString,
    /// `ViewToCsv`.
    Csv,
    /// `ViewToRowsString`.
    RowsString,
    /// `ViewToNdjsonString`.
    NdjsonString,
}

/// The only field of every long reply.
const LONG_FIELD: u32 = 1;

impl LongReply {
    /// The reply's field number in [`Response`].
    fn field(self) -> u32 {
        match self {
            LongReply::Arrow => 16,
            LongReply::ColumnsString => 24,
            LongReply::Csv => 25,
            LongReply::RowsString => 26,
            LongReply::NdjsonString => 36,
        }
    }
}

/// Encodes a long reply up to its content of `num_bytes` bytes. The content follows unchanged and ends the frame, so a
/// reply of any length is encoded without a copy.
pub fn long_reply_header(
    msg_id: u32,
    entity_id: impl Into<String>,
    long: LongReply,
    num_bytes: usize,
) -> Bytes {
    let envelope = Response { msg_id, entity_id: entity_id.into(), client_resp: None };
    let mut head = BytesMut::from(envelope.encode_to_vec().as_slice());
    // An empty field is omitted.
    let field_len = match num_bytes {
        0 => 0,
        _ => key_len(LONG_FIELD) + encoded_len_varint(num_bytes as u64) + num_bytes,
    };
    encode_key(long.field(), WireType::LengthDelimited, &mut head);
    encode_varint(field_len as u64, &mut head);
    if num_bytes > 0 {
        encode_key(LONG_FIELD, WireType::LengthDelimited, &mut head);
        encode_varint(num_bytes as u64, &mut head);
    }
    head.freeze()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generated::{
        ViewToArrowResp, ViewToColumnsStringResp, ViewToCsvResp, ViewToNdjsonStringResp, ViewToRowsStringResp,
    };

    #[test]
    fn a_long_reply_is_encoded_as_any_other() {
        for len in [0, 1, 127, 128, 20_000] {
            let text = "x".repeat(len);
            let (json_string, ndjson_string, csv) = (text.clone(), text.clone(), text.clone());
            let arrow = Bytes::from(text.clone());
            for (long, whole) in [
                (LongReply::Arrow, ClientResp::ViewToArrowResp(ViewToArrowResp { arrow })),
                (
                    LongReply::ColumnsString,
                    ClientResp::ViewToColumnsStringResp(ViewToColumnsStringResp {
                        json_string: json_string.clone(),
                    }),
                ),
                (LongReply::Csv, ClientResp::ViewToCsvResp(ViewToCsvResp { csv })),
                (
                    LongReply::RowsString,
                    ClientResp::ViewToRowsStringResp(ViewToRowsStringResp { json_string }),
                ),
                (
                    LongReply::NdjsonString,
                    ClientResp::ViewToNdjsonStringResp(ViewToNdjsonStringResp { ndjson_string }),
                ),
            ] {
                let mut frame = long_reply_header(300, "view", long, len).to_vec();
                frame.extend_from_slice(text.as_bytes());
                assert_eq!(frame, build(300, "view", whole).encode_to_vec(), "{long:?} of {len} bytes");
            }
        }
    }
}
