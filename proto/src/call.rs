//! The server's side of the protocol: requests become commands, answers become replies. One request a file.
//!
//! Invariant: both tables of contents are exhaustive: every request has one command, every answer one reply. What a
//! request means is decided here, for the server and for the browser's worker alike; neither looks into a message.
//!
//! Cost: a long reply is not copied; its pieces follow a head that states their length.

mod features;
mod hosted_tables;
mod make_join_table;
mod make_table;
mod remove_hosted_tables_update;
mod system_info;
mod table_delete;
mod table_describe;
mod table_make_port;
mod table_make_view;
mod table_on_delete;
mod table_remove;
mod table_remove_delete;
mod table_replace;
mod table_schema;
mod table_size;
mod table_update;
mod table_validate_expr;
mod view_collapse;
mod view_column_paths;
mod view_delete;
mod view_dimensions;
mod view_expand;
mod view_expression_schema;
mod view_get_config;
mod view_get_min_max;
mod view_on_delete;
mod view_on_remove;
mod view_on_update;
mod view_remove_delete;
mod view_remove_on_remove;
mod view_remove_on_update;
mod view_schema;
mod view_set_depth;
mod view_to_arrow;
mod view_to_columns_string;
mod view_to_csv;
mod view_to_ndjson_string;
mod view_to_rows_string;

use bytes::Bytes;
use proscenium_engine::EngineError;
use proscenium_engine::export::TextFormat;
use proscenium_engine::hosting::{Answer, Command, SliceFormat, Topic};

use crate::response::LongReply;
use crate::translate::error;
use crate::{ClientGeneration, ClientReq, ClientResp, frame, request, response};

/// A request as it was received.
#[derive(Debug)]
pub struct Call {
    /// The number of the request, which its reply repeats.
    pub msg_id: u32,
    /// The name of the table, or the id of the view, that the request is about.
    pub entity_id: String,
    /// The request's name, for logs; empty if it could not be decoded.
    pub name: &'static str,
    /// The command, or the reason why it is refused.
    pub command: Result<Command, Refusal>,
}

/// The reason why a request is refused before it reaches a table.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The frame is not a request, or is one that this release does not know.
    #[error("undecodable request: {0}")]
    Undecodable(String),
    /// A part of the request is invalid.
    #[error(transparent)]
    Invalid(#[from] EngineError),
}

impl Refusal {
    /// The reply.
    pub fn to_wire(&self) -> ClientResp {
        match self {
            Refusal::Undecodable(_) => error::unhandled(),
            Refusal::Invalid(error) => error::to_wire(error),
        }
    }
}

/// A reply as it is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EncodedReply {
    /// A frame.
    Whole(Bytes),
    /// The consecutive pieces of a frame.
    Pieces(Vec<Bytes>),
}

/// Decodes a frame. `client` is updated by what the request shows about its client, whose rules the reply follows.
pub fn receive(frame: Bytes, client: &mut ClientGeneration) -> Call {
    let (msg_id, entity_id, request) = match frame::decode(frame) {
        Ok(request) => {
            let unknown = || "its kind is unknown".to_owned();
            (request.msg_id, request.entity_id, request.client_req.ok_or_else(unknown))
        }
        Err(bad) => (bad.msg_id, bad.entity_id, Err(bad.reason)),
    };
    let request = match request {
        Ok(request) => request,
        Err(reason) => {
            return Call { msg_id, entity_id, name: "", command: Err(Refusal::Undecodable(reason)) };
        }
    };
    client.observe(&request);
    let name = request::name(&request);
    Call { msg_id, entity_id, name, command: decode(request, *client).map_err(Refusal::Invalid) }
}

/// Decodes a request.
///
/// # Errors
///
/// A part of the request is invalid by itself; what depends on a table is checked later.
pub fn decode(request: ClientReq, client: ClientGeneration) -> Result<Command, EngineError> {
    Ok(match request {
        ClientReq::GetFeaturesReq(request) => features::decode(request),
        ClientReq::GetHostedTablesReq(request) => hosted_tables::decode(request),
        ClientReq::TableMakePortReq(request) => table_make_port::decode(request),
        ClientReq::TableMakeViewReq(request) => table_make_view::decode(request, client)?,
        ClientReq::TableSchemaReq(request) => table_schema::decode(request),
        ClientReq::TableSizeReq(request) => table_size::decode(request),
        ClientReq::TableValidateExprReq(request) => table_validate_expr::decode(request),
        ClientReq::ViewColumnPathsReq(request) => view_column_paths::decode(request),
        ClientReq::ViewDeleteReq(request) => view_delete::decode(request),
        ClientReq::ViewDimensionsReq(request) => view_dimensions::decode(request),
        ClientReq::ViewExpressionSchemaReq(request) => view_expression_schema::decode(request),
        ClientReq::ViewGetConfigReq(request) => view_get_config::decode(request),
        ClientReq::ViewSchemaReq(request) => view_schema::decode(request),
        ClientReq::ViewToArrowReq(request) => view_to_arrow::decode(request, client)?,
        ClientReq::ServerSystemInfoReq(request) => system_info::decode(request),
        ClientReq::ViewCollapseReq(request) => view_collapse::decode(request),
        ClientReq::ViewExpandReq(request) => view_expand::decode(request),
        ClientReq::ViewGetMinMaxReq(request) => view_get_min_max::decode(request),
        ClientReq::ViewOnUpdateReq(request) => view_on_update::decode(request),
        ClientReq::ViewRemoveOnUpdateReq(request) => view_remove_on_update::decode(request),
        ClientReq::ViewSetDepthReq(request) => view_set_depth::decode(request),
        ClientReq::ViewToColumnsStringReq(request) => view_to_columns_string::decode(request),
        ClientReq::ViewToCsvReq(request) => view_to_csv::decode(request, client),
        ClientReq::ViewToRowsStringReq(request) => view_to_rows_string::decode(request),
        ClientReq::MakeTableReq(request) => make_table::decode(request)?,
        ClientReq::TableDeleteReq(request) => table_delete::decode(request),
        ClientReq::TableOnDeleteReq(request) => table_on_delete::decode(request),
        ClientReq::TableRemoveDeleteReq(request) => table_remove_delete::decode(request),
        ClientReq::TableRemoveReq(request) => table_remove::decode(request)?,
        ClientReq::TableReplaceReq(request) => table_replace::decode(request)?,
        ClientReq::TableUpdateReq(request) => table_update::decode(request)?,
        ClientReq::ViewOnDeleteReq(request) => view_on_delete::decode(request),
        ClientReq::ViewRemoveDeleteReq(request) => view_remove_delete::decode(request),
        ClientReq::ViewToNdjsonStringReq(request) => view_to_ndjson_string::decode(request),
        ClientReq::RemoveHostedTablesUpdateReq(request) => remove_hosted_tables_update::decode(request),
        ClientReq::MakeJoinTableReq(request) => make_join_table::decode(request)?,
        ClientReq::ViewOnRemoveReq(request) => view_on_remove::decode(request),
        ClientReq::ViewRemoveOnRemoveReq(request) => view_remove_on_remove::decode(request),
        ClientReq::TableDescribeReq(request) => table_describe::decode(request, client)?,
    })
}

/// Encodes the reply to the request `msg_id` about `entity_id`. `None`: the request has no reply, only notifications.
pub fn encode(msg_id: u32, entity_id: String, answer: Answer) -> Option<EncodedReply> {
    let response = match answer {
        Answer::Encoded(format, pieces) => return Some(encode_long(msg_id, entity_id, format, pieces)),
        Answer::Subscribed => return None,
        Answer::Features => features::encode(),
        Answer::Usage(usage) => system_info::encode(usage),
        Answer::Tables(tables) => hosted_tables::encode(tables),
        Answer::TablesUnwatched => remove_hosted_tables_update::encode(),
        Answer::TableCreated(_) => make_table::encode(),
        Answer::JoinCreated => make_join_table::encode(),
        Answer::TableSchema(columns) => table_schema::encode(&columns),
        Answer::TableSize(num_rows) => table_size::encode(num_rows),
        Answer::Port(port_id) => table_make_port::encode(port_id),
        Answer::ValidatedExpressions { expressions, description } => {
            table_validate_expr::encode(expressions, &description)
        }
        Answer::Description(description) => table_describe::encode(&description),
        Answer::Updated(_) => table_update::encode(),
        Answer::Replaced(_) => table_replace::encode(),
        Answer::Removed(_) => table_remove::encode(),
        Answer::ViewOpened { view_id } => table_make_view::encode(&view_id),
        Answer::DeletionUnwatched => table_remove_delete::encode(),
        Answer::TableDeleted => table_delete::encode(),
        Answer::ViewClosed => view_delete::encode(),
        Answer::ViewSchema(plan) => view_schema::encode(&plan),
        Answer::ExpressionSchema(plan) => view_expression_schema::encode(&plan),
        Answer::ViewConfig(plan) => view_get_config::encode(&plan),
        Answer::Unsubscribed(Topic::Update { .. }) => view_remove_on_update::encode(),
        Answer::Unsubscribed(Topic::Remove) => view_remove_on_remove::encode(),
        Answer::Unsubscribed(Topic::Delete) => view_remove_delete::encode(),
        Answer::Dimensions(dimensions) => view_dimensions::encode(dimensions),
        Answer::ColumnPaths(paths) => view_column_paths::encode(&paths),
        Answer::MinMax(min, max) => view_get_min_max::encode(&min, &max),
        Answer::Collapsed(num_changed) => view_collapse::encode(num_changed),
        Answer::Expanded(num_changed) => view_expand::encode(num_changed),
        Answer::DepthSet => view_set_depth::encode(),
        // Answers within a process: no request of the protocol has them.
        Answer::Snapshot(_) | Answer::Slice(_) | Answer::Replayed { .. } => error::unhandled(),
    };
    Some(EncodedReply::Whole(encode_response(msg_id, entity_id, response)))
}

/// Encodes any response, as for errors.
pub fn encode_response(msg_id: u32, entity_id: String, response: ClientResp) -> Bytes {
    frame::encode(&response::build(msg_id, entity_id, response))
}

fn encode_long(msg_id: u32, entity_id: String, format: SliceFormat, mut pieces: Vec<Bytes>) -> EncodedReply {
    let long = match format {
        SliceFormat::Arrow { .. } => LongReply::Arrow,
        SliceFormat::Text(TextFormat::JsonColumns(_)) => LongReply::ColumnsString,
        SliceFormat::Text(TextFormat::JsonRows(_)) => LongReply::RowsString,
        SliceFormat::Text(TextFormat::Ndjson(_)) => LongReply::NdjsonString,
        SliceFormat::Text(TextFormat::Csv(_)) => LongReply::Csv,
        SliceFormat::Unencoded => {
            return EncodedReply::Whole(encode_response(msg_id, entity_id, error::unhandled()));
        }
    };
    let num_bytes = pieces.iter().map(Bytes::len).sum();
    pieces.insert(0, response::long_reply_header(msg_id, entity_id, long, num_bytes));
    EncodedReply::Pieces(pieces)
}

#[cfg(test)]
mod tests {
    use proscenium_engine::config::Generation;
    use proscenium_engine::export::Naming;
    use proscenium_engine::hosting::{TableCommand, ViewCommand, Write};
    use prost::Message;

    use super::*;
    use crate::generated as wire;

    fn call(request: ClientReq) -> Call {
        let request = wire::Request { msg_id: 7, entity_id: "t".into(), client_req: Some(request) };
        let mut client = ClientGeneration::assumed(Generation::V5_6);
        receive(request.encode_to_vec().into(), &mut client)
    }

    #[test]
    fn an_update_is_a_write_through_its_port() {
        let data = wire::make_table_data::Data::FromRows(Bytes::from_static(b"[]"));
        let data = Some(wire::MakeTableData { data: Some(data) });
        let call = call(ClientReq::TableUpdateReq(wire::TableUpdateReq { data, port_id: 3 }));
        assert_eq!((call.msg_id, call.entity_id.as_str(), call.name), (7, "t", "TableUpdate"));
        let Ok(Command::Table(TableCommand::Write(Write::Update { port_id, .. }))) = call.command else {
            panic!("a write: {call:?}")
        };
        assert_eq!(port_id, 3);
    }

    #[test]
    fn a_request_without_its_data_is_refused_by_name() {
        for (request, expected) in [
            (ClientReq::TableUpdateReq(Default::default()), "TableUpdateReq malformed"),
            (ClientReq::TableReplaceReq(Default::default()), "TableReplaceReq malformed"),
            (ClientReq::TableRemoveReq(Default::default()), "TableRemoveReq malformed"),
            (ClientReq::MakeTableReq(Default::default()), "MakeTableReq malformed"),
        ] {
            let refusal = call(request).command.unwrap_err();
            assert_eq!(refusal.to_string(), expected);
            let ClientResp::ServerError(error) = refusal.to_wire() else { panic!("an error") };
            assert_eq!(error.message, expected);
        }
    }

    #[test]
    fn the_client_that_a_request_shows_decides_how_it_is_read() {
        let viewport = Some(wire::ViewPort { machine_column_names: Some(false), ..Default::default() });
        let request = wire::ViewToArrowReq { viewport, ..Default::default() };
        let call = call(ClientReq::ViewToArrowReq(request));
        let Ok(Command::View(ViewCommand::Slice(slice))) = call.command else { panic!("a slice") };
        assert!(matches!(slice.format, SliceFormat::Arrow { naming: Naming::Machine, .. }));
    }

    #[test]
    fn garbage_is_a_refusal_with_the_number_that_could_be_read() {
        let mut client = ClientGeneration::assumed(Generation::V5_6);
        let call = receive(Bytes::from_static(&[0x08, 5, 0x1a]), &mut client);
        assert!(matches!((call.msg_id, call.command), (5, Err(Refusal::Undecodable(_)))));
    }

    #[test]
    fn a_long_reply_is_its_pieces_behind_a_head() {
        let pieces = vec![Bytes::from_static(b"\"a\"\n"), Bytes::from_static(b"1\n")];
        let format = SliceFormat::Text(TextFormat::Csv(Naming::Readable));
        let Some(EncodedReply::Pieces(sent)) = encode(9, "v".into(), Answer::Encoded(format, pieces.clone()))
        else {
            panic!("pieces")
        };
        assert_eq!(sent[1].as_ptr(), pieces[0].as_ptr(), "not copied");
        let response = wire::Response::decode(Bytes::from(sent.concat())).unwrap();
        let csv = wire::ViewToCsvResp { csv: "\"a\"\n1\n".into() };
        let expected = wire::Response {
            msg_id: 9,
            entity_id: "v".into(),
            client_resp: Some(ClientResp::ViewToCsvResp(csv)),
        };
        assert_eq!(response, expected);
        assert_eq!(encode(9, "v".into(), Answer::Subscribed), None);
    }
}
