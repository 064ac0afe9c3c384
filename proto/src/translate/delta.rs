//! Builds the notifications of a view.

use bytes::Bytes;

use crate::generated::response::ClientResp;
use crate::generated::{ViewOnRemoveResp, ViewOnUpdateResp};

/// The table changed through `port_id`; `rows` are the view's changed rows as an Arrow stream, if subscribed to.
pub fn updated(port_id: u32, rows: Option<Bytes>) -> ClientResp {
    ClientResp::ViewOnUpdateResp(ViewOnUpdateResp { delta: rows, port_id })
}

/// Rows of the table were removed; `keys` are their keys as an Arrow stream.
pub fn removed(port_id: u32, keys: Bytes) -> ClientResp {
    ClientResp::ViewOnRemoveResp(ViewOnRemoveResp { indices: Some(keys), port_id })
}
