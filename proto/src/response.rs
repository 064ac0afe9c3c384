//! Building responses.

use bytes::{Bytes, BytesMut};
use prost::Message;
use prost::encoding::{WireType, encode_key, encode_varint, encoded_len_varint, key_len};

use crate::generated::Response;
use crate::generated::response::ClientResp;

/// The answer to the request `msg_id` about `entity_id`.
pub fn build(msg_id: u32, entity_id: impl Into<String>, response: ClientResp) -> Response {
    Response { msg_id, entity_id: entity_id.into(), client_resp: Some(response) }
}

/// A notification for a subscriber of the hosted tables: nothing but the number of its subscription.
pub fn hosted_tables_changed(msg_id: u32) -> Response {
    Response { msg_id, entity_id: String::new(), client_resp: None }
}

/// Answers that are one long text, or one long run of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Long {
    Arrow,
    ColumnsString,
    Csv,
    RowsString,
    NdjsonString,
}

/// The only field of every long answer.
const LONG_FIELD: u32 = 1;

impl Long {
    /// The field of [`Response`].
    fn field(self) -> u32 {
        match self {
            Long::Arrow => 16,
            Long::ColumnsString => 24,
            Long::Csv => 25,
            Long::RowsString => 26,
            Long::NdjsonString => 36,
        }
    }
}

/// What stands before the `num_bytes` bytes of a long answer in its frame: they follow as they are, and end it. So an
/// answer of any length is encoded without being copied.
pub fn head_of_long(msg_id: u32, entity_id: impl Into<String>, long: Long, num_bytes: usize) -> Bytes {
    let envelope = Response { msg_id, entity_id: entity_id.into(), client_resp: None };
    let mut head = BytesMut::from(envelope.encode_to_vec().as_slice());
    // What is empty is not there.
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
    fn a_long_answer_is_encoded_as_any_other() {
        for len in [0, 1, 127, 128, 20_000] {
            let text = "x".repeat(len);
            let (json_string, ndjson_string, csv) = (text.clone(), text.clone(), text.clone());
            let arrow = Bytes::from(text.clone());
            for (long, whole) in [
                (Long::Arrow, ClientResp::ViewToArrowResp(ViewToArrowResp { arrow })),
                (
                    Long::ColumnsString,
                    ClientResp::ViewToColumnsStringResp(ViewToColumnsStringResp {
                        json_string: json_string.clone(),
                    }),
                ),
                (Long::Csv, ClientResp::ViewToCsvResp(ViewToCsvResp { csv })),
                (Long::RowsString, ClientResp::ViewToRowsStringResp(ViewToRowsStringResp { json_string })),
                (
                    Long::NdjsonString,
                    ClientResp::ViewToNdjsonStringResp(ViewToNdjsonStringResp { ndjson_string }),
                ),
            ] {
                let mut frame = head_of_long(300, "view", long, len).to_vec();
                frame.extend_from_slice(text.as_bytes());
                assert_eq!(frame, answer(300, "view", whole).encode_to_vec(), "{long:?} of {len} bytes");
            }
        }
    }
}
