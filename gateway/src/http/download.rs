//! Downloads: a table as text or Arrow.
//!
//! Invariant: a download is a view of all columns, read as WebSocket clients read it, with the same limit of one reply.

use std::convert::Infallible;

use actix_web::body::SizedStream;
use actix_web::http::header::ACCEPT;
use actix_web::{HttpRequest, HttpResponse, web};
use proscenium_actors::{ActorError, Rope};
use proscenium_engine::EngineError;
use proscenium_engine::config::ViewConfig;
use proscenium_engine::error::DataError;
use proscenium_engine::export::{Compression, JsonOptions, Naming, TextFormat};
use proscenium_engine::hosting::{Principal, SliceFormat};
use serde::Deserialize;

use super::Shared;
use super::tables::header;
use crate::transient_view::TransientView;
use crate::tuning;
use crate::wire_errors::to_http;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Download {
    format: Option<String>,
}

#[derive(Debug, Clone, Copy)]
enum DownloadFormat {
    Json,
    Columns,
    Ndjson,
    Csv,
    Arrow,
}

impl DownloadFormat {
    fn requested(query: &Download, request: &HttpRequest) -> Result<DownloadFormat, EngineError> {
        let accept = header(request, ACCEPT);
        match query.format.as_deref() {
            Some("json") => Ok(DownloadFormat::Json),
            Some("columns") => Ok(DownloadFormat::Columns),
            Some("ndjson") => Ok(DownloadFormat::Ndjson),
            Some("csv") => Ok(DownloadFormat::Csv),
            Some("arrow") => Ok(DownloadFormat::Arrow),
            Some(other) => {
                let reason = format!("format \"{other}\" is none of json, columns, ndjson, csv, arrow");
                Err(DataError::FormatOption { reason }.into())
            }
            None if accept.contains("text/csv") => Ok(DownloadFormat::Csv),
            None if accept.contains("ndjson") => Ok(DownloadFormat::Ndjson),
            None if accept.contains("apache.arrow") => Ok(DownloadFormat::Arrow),
            None => Ok(DownloadFormat::Json),
        }
    }

    fn content_type(self) -> &'static str {
        match self {
            DownloadFormat::Json | DownloadFormat::Columns => "application/json",
            DownloadFormat::Ndjson => "application/x-ndjson",
            DownloadFormat::Csv => "text/csv; charset=utf-8",
            DownloadFormat::Arrow => "application/vnd.apache.arrow.stream",
        }
    }

    fn slice_format(self) -> SliceFormat {
        let options = JsonOptions::default();
        SliceFormat::Text(match self {
            DownloadFormat::Json => TextFormat::JsonRows(options),
            DownloadFormat::Columns => TextFormat::JsonColumns(options),
            DownloadFormat::Ndjson => TextFormat::Ndjson(options),
            DownloadFormat::Csv => TextFormat::Csv(Naming::Readable),
            DownloadFormat::Arrow => {
                return SliceFormat::Arrow { naming: Naming::Readable, compression: Compression::None };
            }
        })
    }
}

pub(super) async fn download(
    shared: web::Data<Shared>,
    name: web::Path<String>,
    query: web::Query<Download>,
    request: HttpRequest,
) -> HttpResponse {
    let format = match DownloadFormat::requested(&query, &request) {
        Ok(format) => format,
        Err(fault) => return to_http(&fault.into(), &name),
    };
    match read(&shared, &name, format).await {
        Ok(mut rope) => {
            let num_bytes = rope.len() as u64;
            let pieces =
                std::iter::from_fn(move || rope.take(tuning::SOCKET_PIECE_BYTES).map(Ok::<_, Infallible>));
            let body = SizedStream::new(num_bytes, futures::stream::iter(pieces));
            HttpResponse::Ok().content_type(format.content_type()).body(body)
        }
        Err(fault) => to_http(&fault, &name),
    }
}

async fn read(shared: &Shared, name: &str, format: DownloadFormat) -> Result<Rope, ActorError> {
    let config = ViewConfig::default();
    let view = TransientView::open(&shared.router, Principal::anonymous(), name, config).await?;
    Ok(view.encoded(format.slice_format()).await?.into_iter().collect())
}
