//! Converts a table's data or schema as a client sends it, and the options of a new table.

use bytes::Bytes;
use bytestring::ByteString;
use proscenium_engine::error::{DataError, RequestError};
use proscenium_engine::{ListFlatten, Result, TableData, TableOptions};

use crate::generated as wire;
use crate::generated::make_table_data::Data;
use crate::generated::make_table_req::MakeTableOptions;
use crate::generated::make_table_req::make_table_options::MakeTableType;
use crate::translate::schema;

/// The source of a new table's rows.
#[derive(Debug, Clone)]
pub enum Source {
    /// Data or a schema.
    Data(TableData),
    /// The id of a view of this server.
    View(String),
}

/// Converts a request's data; `None` if the message has none, which each request reports with its own text.
///
/// # Errors
///
/// A text is not UTF-8, or a column type is unknown.
pub fn from_wire(data: Option<wire::MakeTableData>) -> Result<Option<Source>> {
    let Some(data) = data.and_then(|message| message.data) else { return Ok(None) };
    let data = match data {
        Data::FromSchema(columns) => TableData::Schema(schema::from_wire(columns)?),
        Data::FromCsv(bytes) => TableData::Csv(bytes),
        Data::FromArrow(bytes) => TableData::Arrow(bytes),
        Data::FromRows(bytes) => TableData::Rows(text(bytes)?),
        Data::FromCols(bytes) => TableData::Columns(text(bytes)?),
        Data::FromNdjson(bytes) => TableData::Ndjson(text(bytes)?),
        Data::FromView(view_id) => return Ok(Some(Source::View(view_id))),
    };
    Ok(Some(Source::Data(data)))
}

/// Converts the data of a write, which a view cannot be. `request` is named in the error.
///
/// # Errors
///
/// There is no data, or a text is not UTF-8.
pub fn rows_from_wire(data: Option<wire::MakeTableData>, request: &str) -> Result<TableData> {
    match from_wire(data)? {
        Some(Source::Data(data)) => Ok(data),
        Some(Source::View(_)) | None => {
            Err(RequestError::Malformed { reason: format!("{request} malformed") }.into())
        }
    }
}

/// Checks a text. It is not copied and keeps the memory of its frame alive.
fn text(bytes: Bytes) -> Result<ByteString> {
    ByteString::try_from(bytes).map_err(|error| DataError::NotUtf8 { reason: error.to_string() }.into())
}

/// Converts a new table's options. An empty index name means no index; `page_to_disk` is a hint that this engine
/// ignores.
pub fn options_from_wire(options: &MakeTableOptions) -> TableOptions {
    let (index, limit) = match &options.make_table_type {
        Some(MakeTableType::MakeIndexTable(index)) if !index.is_empty() => (Some(index.clone()), None),
        Some(MakeTableType::MakeLimitTable(limit)) => (None, Some(*limit)),
        Some(MakeTableType::MakeIndexTable(_)) | None => (None, None),
    };
    let list_flatten = match options.list_flatten() {
        wire::ListFlatten::Zip => ListFlatten::Zip,
        wire::ListFlatten::Cartesian => ListFlatten::Cartesian,
        wire::ListFlatten::Stringify => ListFlatten::Stringify,
    };
    TableOptions { index, limit, list_flatten }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_member_is_no_data() {
        assert!(from_wire(None).unwrap().is_none());
        assert!(from_wire(Some(wire::MakeTableData { data: None })).unwrap().is_none());
    }

    #[test]
    fn arrow_bytes_are_shared_and_not_copied() {
        let sent = bytes::Bytes::from_static(b"ARROW1");
        let message = wire::MakeTableData { data: Some(Data::FromArrow(sent.clone())) };
        let Ok(Some(Source::Data(TableData::Arrow(received)))) = from_wire(Some(message)) else {
            panic!("arrow stays arrow")
        };
        assert_eq!(received.as_ptr(), sent.as_ptr());
    }

    #[test]
    fn texts_are_shared_and_checked() {
        let read = |bytes: &'static [u8]| {
            from_wire(Some(wire::MakeTableData { data: Some(Data::FromRows(Bytes::from_static(bytes))) }))
        };
        let sent = r#"[{"é":1}]"#.as_bytes();
        let Ok(Some(Source::Data(TableData::Rows(received)))) = read(sent) else {
            panic!("a text stays one")
        };
        assert_eq!(received.as_ptr(), sent.as_ptr());
        assert!(read(b"[\"\xff\"]").unwrap_err().to_string().contains("not UTF-8"));
    }

    #[test]
    fn an_empty_index_and_an_unknown_flattening_are_the_defaults() {
        let options = MakeTableOptions {
            make_table_type: Some(MakeTableType::MakeIndexTable(String::new())),
            list_flatten: Some(77),
            ..Default::default()
        };
        assert_eq!(options_from_wire(&options), TableOptions::default());
    }
}
