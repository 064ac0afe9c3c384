//! HTTP endpoints of tables: list, upload, download, delete.
//!
//! | request | effect |
//! |---|---|
//! | `GET /api/v1/tables` | lists the tables |
//! | `PUT /api/v1/tables/{table}?…` | creates the table, or replaces all its rows |
//! | `POST /api/v1/tables/{table}?…` | creates the table, or adds and merges rows |
//! | `GET /api/v1/tables/{table}?format=` | downloads it: json (default), columns, ndjson, csv, arrow |
//! | `DELETE /api/v1/tables/{table}` | deletes it |
//!
//! An upload's format is given by the parameter, or else by the `Content-Type`. Uploads may be compressed
//! (`Content-Encoding`); downloads are where the client accepts it (`Accept-Encoding`). Parameters of uploads: [`Upload`].

use std::convert::Infallible;
use std::sync::Arc;

use actix_web::body::SizedStream;
use actix_web::http::StatusCode;
use actix_web::http::header::{ACCEPT, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HeaderName};
use actix_web::{HttpRequest, HttpResponse, web};
use bytes::Bytes;
use proscenium_actors::table::{DeleteTable, ReplaceRows, TakeSnapshot, UpdateRows};
use proscenium_actors::{ActorError, Rope, TableRef, tuning};
use proscenium_engine::config::ViewConfig;
use proscenium_engine::export::{Compression, JsonOptions, Naming, TextFormat};
use proscenium_engine::view::{Plan, SliceOptions, View, ViewSlice};
use proscenium_engine::{TableData, TableOptions, UnknownColumns, WriteOptions};
use serde::Deserialize;
use serde_json::json;

use super::Shared;
use crate::content_coding::{Coding, DecodeError};
use crate::load_options::{CsvWords, Format, Lists};
use crate::source::decode;

/// Size of the pieces in which a download is written to the socket.
const BODY_PIECE_BYTES: usize = 128 * 1024;

/// Maximum number of bytes of an upload, before and after decompression.
#[derive(Debug, Clone, Copy)]
pub(super) struct MaxUpload(pub(super) usize);

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Upload {
    format: Option<String>,
    /// Index of a new table; that of an existing one must be equal.
    index: Option<String>,
    limit: Option<u32>,
    /// How lists become rows or texts.
    lists: Option<Lists>,
    /// The dialect of a CSV.
    separator: Option<String>,
    decimal: Option<String>,
    header: Option<bool>,
    /// Whether columns that an existing table does not have are ignored.
    #[serde(default)]
    ignore_unknown: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Download {
    format: Option<String>,
}

pub(super) async fn list(shared: web::Data<Shared>) -> HttpResponse {
    let mut tables = Vec::new();
    for hosted in shared.catalog.list() {
        let Ok(table) = shared.catalog.table(&hosted.name) else { continue };
        let Ok(snapshot) = table.mailbox.ask(tuning::ASK_DEADLINE, |reply| TakeSnapshot { reply }).await
        else {
            continue;
        };
        let columns: serde_json::Map<String, serde_json::Value> = snapshot
            .schema()
            .fields()
            .iter()
            .map(|field| (field.name.to_string(), field.column_type().name().into()))
            .collect();
        tables.push(json!({
            "name": &*hosted.name, "index": hosted.index, "limit": hosted.limit,
            "rows": snapshot.num_rows(), "columns": columns,
        }));
    }
    HttpResponse::Ok().json(tables)
}

pub(super) async fn put(
    shared: web::Data<Shared>,
    name: web::Path<String>,
    query: web::Query<Upload>,
    request: HttpRequest,
    max: web::Data<MaxUpload>,
    body: web::Payload,
) -> HttpResponse {
    upload(&shared, &name, query.into_inner(), &request, body, *max.get_ref(), true).await
}

pub(super) async fn post(
    shared: web::Data<Shared>,
    name: web::Path<String>,
    query: web::Query<Upload>,
    request: HttpRequest,
    max: web::Data<MaxUpload>,
    body: web::Payload,
) -> HttpResponse {
    upload(&shared, &name, query.into_inner(), &request, body, *max.get_ref(), false).await
}

async fn upload(
    shared: &Shared,
    name: &str,
    query: Upload,
    request: &HttpRequest,
    body: web::Payload,
    max: MaxUpload,
    replaces: bool,
) -> HttpResponse {
    let format = match upload_format(&query, request) {
        Ok(format) => format,
        Err(message) => return error(StatusCode::UNSUPPORTED_MEDIA_TYPE, &message),
    };
    if query.index.is_some() && query.limit.is_some() {
        return error(StatusCode::BAD_REQUEST, "a table has an index or a limit, not both");
    }
    let (options, write) = (query.table_options(), query.write_options());
    let data = match read(format, query, request, body, max).await {
        Ok(data) => data,
        Err(response) => return response,
    };
    let (done, status) = match shared.catalog.table(name) {
        Ok(table) => (change(&table, data, write, replaces).await, StatusCode::OK),
        Err(_) => (shared.catalog.host(name, data, options).await, StatusCode::CREATED),
    };
    match done {
        Ok(()) => HttpResponse::build(status).json(json!({ "table": name })),
        Err(fault) => refuse(&fault, name),
    }
}

impl Upload {
    fn table_options(&self) -> TableOptions {
        TableOptions {
            index: self.index.clone(),
            limit: self.limit,
            list_flatten: self.lists.unwrap_or_default().0,
        }
    }

    fn write_options(&self) -> WriteOptions {
        WriteOptions {
            unknown_columns: UnknownColumns::unless(self.ignore_unknown),
            index: self.index.clone(),
            limit: self.limit,
            list_flatten: self.lists.map(|lists| lists.0),
        }
    }
}

/// Reads and decodes the body of an upload. The error is the response.
async fn read(
    format: Format,
    query: Upload,
    request: &HttpRequest,
    body: web::Payload,
    MaxUpload(max): MaxUpload,
) -> Result<TableData, HttpResponse> {
    let codings = Coding::all_of(&header(request, CONTENT_ENCODING))
        .map_err(|message| error(StatusCode::UNSUPPORTED_MEDIA_TYPE, &message))?;
    let too_large = || error(StatusCode::PAYLOAD_TOO_LARGE, &format!("an upload has at most {max} bytes"));
    let length: Option<usize> = header(request, CONTENT_LENGTH).parse().ok();
    if length.is_some_and(|length| length > max) {
        return Err(too_large());
    }
    let body = match body.to_bytes_limited(max).await {
        Ok(Ok(body)) => body,
        Ok(Err(fault)) => {
            return Err(error(StatusCode::BAD_REQUEST, &format!("the upload was interrupted: {fault}")));
        }
        Err(_) => return Err(too_large()),
    };
    let reading = web::block(move || {
        let mut body = body;
        // The coding applied last is removed first.
        for coding in codings.into_iter().rev() {
            body = coding.decode(&body, max)?;
        }
        let csv = CsvWords {
            separator: query.separator.as_deref(),
            decimal: query.decimal.as_deref(),
            header: query.header,
        };
        Ok::<_, DecodeError>(decode(format, csv, body))
    });
    match reading.await {
        Ok(Ok(Ok(data))) => Ok(data),
        Ok(Ok(Err(message))) => Err(error(StatusCode::BAD_REQUEST, &message)),
        Ok(Err(fault @ DecodeError::TooLarge(_))) => {
            Err(error(StatusCode::PAYLOAD_TOO_LARGE, &format!("the upload is too large: {fault}")))
        }
        Ok(Err(fault @ DecodeError::Corrupt(..))) => {
            Err(error(StatusCode::BAD_REQUEST, &format!("the upload cannot be decompressed: {fault}")))
        }
        Err(_) => Err(error(StatusCode::SERVICE_UNAVAILABLE, "the server is stopping")),
    }
}

async fn change(
    table: &TableRef,
    data: TableData,
    options: WriteOptions,
    replaces: bool,
) -> Result<(), ActorError> {
    if replaces {
        return table.mailbox.ask(tuning::ASK_DEADLINE, |reply| ReplaceRows { data, options, reply }).await;
    }
    table.mailbox.ask(tuning::ASK_DEADLINE, |reply| UpdateRows { data, port_id: 0, options, reply }).await
}

fn upload_format(query: &Upload, request: &HttpRequest) -> Result<Format, String> {
    if let Some(format) = &query.format {
        return format.parse();
    }
    let content_type = header(request, CONTENT_TYPE);
    match content_type.split(';').next().unwrap_or("").trim() {
        "text/csv" | "text/tab-separated-values" => Ok(Format::Csv),
        "application/json" => Ok(Format::Json),
        "application/x-ndjson" | "application/ndjson" | "application/jsonl" => Ok(Format::Ndjson),
        "application/vnd.apache.arrow.stream" | "application/vnd.apache.arrow.file" => Ok(Format::Arrow),
        "application/vnd.apache.parquet" => Ok(Format::Parquet),
        other => Err(format!(
            "content type \"{other}\" determines no format; add ?format=csv (or json, ndjson, arrow, parquet)"
        )),
    }
}

fn header(request: &HttpRequest, name: HeaderName) -> String {
    request.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or("").to_ascii_lowercase()
}

#[derive(Debug, Clone, Copy)]
enum Form {
    Json,
    Columns,
    Ndjson,
    Csv,
    Arrow,
}

impl Form {
    fn requested(query: &Download, request: &HttpRequest) -> Result<Form, String> {
        let accept = header(request, ACCEPT);
        match query.format.as_deref() {
            Some("json") => Ok(Form::Json),
            Some("columns") => Ok(Form::Columns),
            Some("ndjson") => Ok(Form::Ndjson),
            Some("csv") => Ok(Form::Csv),
            Some("arrow") => Ok(Form::Arrow),
            Some(other) => Err(format!("format \"{other}\" is none of json, columns, ndjson, csv, arrow")),
            None if accept.contains("text/csv") => Ok(Form::Csv),
            None if accept.contains("ndjson") => Ok(Form::Ndjson),
            None if accept.contains("apache.arrow") => Ok(Form::Arrow),
            None => Ok(Form::Json),
        }
    }

    fn content_type(self) -> &'static str {
        match self {
            Form::Json | Form::Columns => "application/json",
            Form::Ndjson => "application/x-ndjson",
            Form::Csv => "text/csv; charset=utf-8",
            Form::Arrow => "application/vnd.apache.arrow.stream",
        }
    }

    fn write(self, slice: ViewSlice) -> proscenium_engine::Result<Rope> {
        let options = JsonOptions::default();
        let format = match self {
            Form::Json => TextFormat::JsonRows(options),
            Form::Columns => TextFormat::JsonColumns(options),
            Form::Ndjson => TextFormat::Ndjson(options),
            Form::Csv => TextFormat::Csv(Naming::Readable),
            Form::Arrow => {
                let pieces = slice.arrow(Naming::Readable, Compression::None, tuning::build_threads())?;
                return Ok(pieces.into_iter().collect());
            }
        };
        Ok(slice.text(format, tuning::build_threads()).into_iter().map(Bytes::from).collect())
    }
}

pub(super) async fn download(
    shared: web::Data<Shared>,
    name: web::Path<String>,
    query: web::Query<Download>,
    request: HttpRequest,
) -> HttpResponse {
    let form = match Form::requested(&query, &request) {
        Ok(form) => form,
        Err(message) => return error(StatusCode::BAD_REQUEST, &message),
    };
    let table = match shared.catalog.table(&name) {
        Ok(table) => table,
        Err(fault) => return refuse(&fault, &name),
    };
    let snapshot = match table.mailbox.ask(tuning::ASK_DEADLINE, |reply| TakeSnapshot { reply }).await {
        Ok(snapshot) => snapshot,
        Err(fault) => return refuse(&fault, &name),
    };
    let written = web::block(move || {
        let plan = Plan::new(&ViewConfig::default(), snapshot.schema())?;
        let mut view = View::build(Arc::new(plan), &snapshot);
        let mut handle = view.handle(None);
        form.write(view.slice(&mut handle, SliceOptions::default()))
    });
    match written.await {
        Ok(Ok(mut rope)) => {
            let num_bytes = rope.len() as u64;
            let pieces = std::iter::from_fn(move || rope.take(BODY_PIECE_BYTES).map(Ok::<_, Infallible>));
            let body = SizedStream::new(num_bytes, futures::stream::iter(pieces));
            HttpResponse::Ok().content_type(form.content_type()).body(body)
        }
        Ok(Err(fault)) => error(StatusCode::INTERNAL_SERVER_ERROR, &fault.to_string()),
        Err(_) => error(StatusCode::SERVICE_UNAVAILABLE, "the server is stopping"),
    }
}

pub(super) async fn delete(shared: web::Data<Shared>, name: web::Path<String>) -> HttpResponse {
    let table = match shared.catalog.table(&name) {
        Ok(table) => table,
        Err(fault) => return refuse(&fault, &name),
    };
    let order = |reply| DeleteTable { lazy: false, reply, understood: Box::new(()) };
    match table.mailbox.ask(tuning::ASK_DEADLINE, order).await {
        Ok(()) => HttpResponse::NoContent().finish(),
        Err(fault) => refuse(&fault, &name),
    }
}

fn refuse(fault: &ActorError, name: &str) -> HttpResponse {
    match fault {
        ActorError::TableNotFound => error(StatusCode::NOT_FOUND, &format!("table \"{name}\" is not hosted")),
        ActorError::ViewNotFound => error(StatusCode::NOT_FOUND, &fault.to_string()),
        ActorError::Engine(_) => error(StatusCode::BAD_REQUEST, fault.to_string().trim_end()),
        ActorError::Refused(_) => error(StatusCode::CONFLICT, fault.to_string().trim_end()),
        ActorError::TableFailed { .. } | ActorError::Gone | ActorError::Deadline { .. } => {
            error(StatusCode::SERVICE_UNAVAILABLE, &fault.to_string())
        }
    }
}

fn error(status: StatusCode, message: &str) -> HttpResponse {
    HttpResponse::build(status).json(json!({ "error": message }))
}
