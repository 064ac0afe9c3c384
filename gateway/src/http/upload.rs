//! Uploads: a body in any format becomes a table, or rows of one.
//!
//! Invariant: an upload is the same write that WebSocket clients and Flight send ([`TableLoad`]).

use actix_web::http::StatusCode;
use actix_web::http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use actix_web::{HttpRequest, HttpResponse, web};
use proscenium_engine::error::DataError;
use proscenium_engine::memory::{MemoryAccount, MemoryRefused};
use proscenium_engine::table::LoadMark;
use proscenium_engine::{EngineError, TableData};
use serde::Deserialize;
use serde_json::json;

use super::Shared;
use super::authenticate::RequestSender;
use super::body::{self, BodyError};
use super::tables::header;
use super::{idempotency, key_lines};
use crate::content_coding::{Coding, DecodeError};
use crate::least_rate::LeastRate;
use crate::load_options::{CsvWords, Format, Lists};
use crate::source::decode;
use crate::table_load::{LoadEffect, TableLoad};
use crate::tuning;
use crate::wire_errors::{http_error, to_http};

/// The bounds of an upload.
#[derive(Debug, Clone, Copy)]
pub struct MaxUpload {
    /// Maximum number of bytes, before and after decompression.
    pub bytes: usize,
    pub rate: LeastRate,
}

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

/// How the keys of rows that are removed are written.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Removal {
    format: Option<String>,
    /// The dialect of a CSV.
    separator: Option<String>,
    decimal: Option<String>,
    header: Option<bool>,
}

pub(super) async fn put(
    shared: web::Data<Shared>,
    name: web::Path<String>,
    query: web::Query<Upload>,
    request: HttpRequest,
    max: web::Data<MaxUpload>,
    body: web::Payload,
) -> HttpResponse {
    upload(&shared, &name, query.into_inner(), &request, body, *max.get_ref(), LoadEffect::Replace).await
}

pub(super) async fn post(
    shared: web::Data<Shared>,
    name: web::Path<String>,
    query: web::Query<Upload>,
    request: HttpRequest,
    max: web::Data<MaxUpload>,
    body: web::Payload,
) -> HttpResponse {
    upload(&shared, &name, query.into_inner(), &request, body, *max.get_ref(), LoadEffect::Update).await
}

/// Removes the rows whose keys are the body.
pub(super) async fn remove(
    shared: web::Data<Shared>,
    name: web::Path<String>,
    query: web::Query<Removal>,
    request: HttpRequest,
    max: web::Data<MaxUpload>,
    body: web::Payload,
) -> HttpResponse {
    let Removal { format, separator, decimal, header } = query.into_inner();
    let query = Upload { format, separator, decimal, header, ..Upload::default() };
    upload(&shared, &name, query, &request, body, *max.get_ref(), LoadEffect::Remove).await
}

async fn upload(
    shared: &Shared,
    name: &str,
    query: Upload,
    request: &HttpRequest,
    body: web::Payload,
    max: MaxUpload,
    effect: LoadEffect,
) -> HttpResponse {
    let format = match upload_format(&query, request) {
        Ok(format) => format,
        Err(fault) => return unsupported(&fault),
    };
    let load = TableLoad {
        table: name.to_owned(),
        effect,
        index: query.index.clone(),
        limit: query.limit,
        lists: query.lists,
        ignore_unknown: query.ignore_unknown,
    };
    if let Err(fault) = load.check() {
        return to_http(&fault, name);
    }
    let sender = match RequestSender::of(request) {
        Ok(RequestSender(sender)) => sender,
        Err(error) => return error.into(),
    };
    if let Err(fault) = shared.router.check_load(&sender, name, effect) {
        return to_http(&fault, name);
    }
    // No table is made by removing rows.
    if effect == LoadEffect::Remove
        && let Err(fault) = shared.router.find_for(&sender, name)
    {
        return to_http(&fault, name);
    }
    let key = match idempotency::key_of(request, &sender, name, &shared.used_keys) {
        Ok(key) => key,
        Err(response) => return *response,
    };
    let mut caller = shared.router.caller(sender);
    let (data, digest) =
        match read(name, (format, effect, key.is_some()), query, request, body, max, &caller.memory).await {
            Ok(data) => data,
            Err(response) => return response,
        };
    if let Some(key) = key {
        caller = caller.loading(LoadMark { digest, ..key.mark(0, 0) });
    }
    let loaded = match effect {
        LoadEffect::Remove => load.write(&shared.router, &caller, data).await,
        LoadEffect::Update | LoadEffect::Replace => load.apply(&shared.router, &caller, data).await,
    };
    match loaded {
        Ok(outcome) => {
            let status = if outcome.is_created { StatusCode::CREATED } else { StatusCode::OK };
            let mut reply = serde_json::Map::from_iter([("table".to_owned(), json!(name))]);
            outcome.add_to(&mut reply);
            let mut response = HttpResponse::build(status);
            if outcome.is_replayed {
                response.insert_header((idempotency::REPLAYED, "true"));
            }
            response.json(reply)
        }
        Err(fault) => to_http(&fault, name),
    }
}

/// Reads and decodes the body of an upload, and makes its digest if the request has a key. The error is the response.
async fn read(
    name: &str,
    (format, effect, is_keyed): (Format, LoadEffect, bool),
    query: Upload,
    request: &HttpRequest,
    body: web::Payload,
    MaxUpload { bytes: max, rate }: MaxUpload,
    memory: &MemoryAccount,
) -> Result<(TableData, Option<String>), HttpResponse> {
    let words = is_keyed.then(|| idempotency::words(request));
    let codings = Coding::all_of(&header(request, CONTENT_ENCODING)).map_err(|fault| unsupported(&fault))?;
    let length: Option<usize> = header(request, CONTENT_LENGTH).parse().ok();
    if length.is_some_and(|length| length > max) {
        return Err(not_received(&BodyError::TooLarge(max)));
    }
    let body = body::receive(body, max, length, rate, memory).await.map_err(|fault| match fault {
        BodyError::Memory(refused) => refused_memory(refused, name),
        fault => not_received(&fault),
    })?;
    let memory = memory.clone();
    // What is short costs less than passing it to another thread and back.
    let is_short = codings.is_empty() && body.len() <= tuning::INLINE_UPLOAD_BYTES;
    let reading = move || {
        let digest = words.map(|words| idempotency::digest(&words, &body));
        let mut body = body;
        // The coding applied last is removed first.
        for coding in codings.into_iter().rev() {
            body = coding.decode(&body, max, &memory)?;
        }
        let csv = CsvWords {
            separator: query.separator.as_deref(),
            decimal: query.decimal.as_deref(),
            header: query.header,
        };
        let decoded = match (effect, format) {
            (LoadEffect::Remove, Format::Ndjson) => key_lines::as_list(&body).map(TableData::Rows),
            _ => decode(format, csv, body),
        };
        Ok::<_, DecodeError>(decoded.map(|data| (data, digest)))
    };
    let read = if is_short { Ok(reading()) } else { web::block(reading).await };
    match read {
        Ok(Ok(Ok(data))) => Ok(data),
        Ok(Ok(Err(fault))) => Err(to_http(&fault.into(), name)),
        Ok(Err(fault @ DecodeError::TooLarge(_))) => Err(http_error(
            StatusCode::PAYLOAD_TOO_LARGE,
            "too_large",
            &format!("the upload is too large: {fault}"),
        )),
        Ok(Err(DecodeError::Memory(refused))) => Err(refused_memory(refused, name)),
        Ok(Err(fault @ DecodeError::Corrupt(..))) => Err(http_error(
            StatusCode::BAD_REQUEST,
            "malformed_data",
            &format!("the upload cannot be decompressed: {fault}"),
        )),
        Err(_) => Err(http_error(StatusCode::SERVICE_UNAVAILABLE, "stopping", "the server is stopping")),
    }
}

fn refused_memory(refused: MemoryRefused, name: &str) -> HttpResponse {
    to_http(&EngineError::from(refused).into(), name)
}

/// The response to a body that was not received.
fn not_received(fault: &BodyError) -> HttpResponse {
    let (status, code) = match fault {
        BodyError::TooLarge(_) => (StatusCode::PAYLOAD_TOO_LARGE, "too_large"),
        BodyError::TooSlow(_) => (StatusCode::REQUEST_TIMEOUT, "too_slow"),
        BodyError::Memory(_) => (StatusCode::SERVICE_UNAVAILABLE, "memory_limit"),
        BodyError::Interrupted(_) => (StatusCode::BAD_REQUEST, "interrupted"),
    };
    http_error(status, code, &fault.to_string())
}

/// The response to a format or a coding that is not known.
fn unsupported(fault: &EngineError) -> HttpResponse {
    http_error(StatusCode::UNSUPPORTED_MEDIA_TYPE, fault.code(), &fault.to_string())
}

fn upload_format(query: &Upload, request: &HttpRequest) -> Result<Format, EngineError> {
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
        other => {
            let reason = format!(
                "content type \"{other}\" determines no format; add ?format=csv (or json, ndjson, arrow, parquet)"
            );
            Err(DataError::FormatOption { reason }.into())
        }
    }
}
