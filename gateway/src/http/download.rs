//! Downloads: a table as text or Arrow.
//!
//! Invariant: a download is a view of all columns, read as WebSocket clients read it, with the same limits. It is one version
//! of its table, regardless of writes meanwhile.
//!
//! Cost: it is written piece by piece as the client reads it, so a download of any length holds two pieces besides the
//! shared snapshot.

use std::convert::Infallible;

use actix_web::body::BodyStream;
use actix_web::http::header::{ACCEPT, ETag};
use actix_web::{HttpMessage, HttpRequest, HttpResponse, web};
use bytes::Bytes;
use futures::Stream;
use proscenium_actors::ActorError;
use proscenium_engine::EngineError;
use proscenium_engine::config::ViewConfig;
use proscenium_engine::error::DataError;
use proscenium_engine::export::{JsonOptions, Naming, TextFormat};
use proscenium_engine::hosting::{Answer, Command, Principal, TableCommand};
use proscenium_engine::view::{ArrowStream, TextStream};
use serde::Deserialize;

use super::Shared;
use super::authenticate::RequestSender;
use super::entity_tag;
use super::finish::HeadOnly;
use super::tables::header;
use crate::transient_view::{TransientView, unexpected};
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

    /// The format of a text; `None`: Arrow.
    fn text_format(self) -> Option<TextFormat> {
        let options = JsonOptions::default();
        Some(match self {
            DownloadFormat::Json => TextFormat::JsonRows(options),
            DownloadFormat::Columns => TextFormat::JsonColumns(options),
            DownloadFormat::Ndjson => TextFormat::Ndjson(options),
            DownloadFormat::Csv => TextFormat::Csv(Naming::Readable),
            DownloadFormat::Arrow => return None,
        })
    }
}

pub(super) async fn download(
    shared: web::Data<Shared>,
    RequestSender(sender): RequestSender,
    name: web::Path<String>,
    query: web::Query<Download>,
    request: HttpRequest,
) -> HttpResponse {
    let format = match DownloadFormat::requested(&query, &request) {
        Ok(format) => format,
        Err(fault) => return to_http(&fault.into(), &name),
    };
    let tag = match tag(&shared, sender.clone(), &name, format).await {
        Ok(tag) => tag,
        Err(fault) => return to_http(&fault, &name),
    };
    if entity_tag::is_known(&request, &tag) {
        return HttpResponse::NotModified().insert_header(tag).finish();
    }
    if request.extensions().contains::<HeadOnly>() {
        // The length is known only once everything is encoded.
        let body = BodyStream::new(futures::stream::empty::<Result<Bytes, Infallible>>());
        return HttpResponse::Ok().content_type(format.content_type()).insert_header(tag).body(body);
    }
    let mut response = HttpResponse::Ok();
    response.insert_header(tag);
    response.content_type(format.content_type());
    let opened = stream(&shared, sender.clone(), &name, format).await;
    shared.router.record_export(&sender, &name, &opened);
    match opened {
        Ok(pieces) => response.streaming(pieces),
        Err(fault) => to_http(&fault, &name),
    }
}

/// The tag of the table's current content.
async fn tag(
    shared: &Shared,
    sender: Principal,
    name: &str,
    format: DownloadFormat,
) -> Result<ETag, ActorError> {
    let table = shared.router.find_for(&sender, name)?;
    let caller = shared.router.caller(sender);
    let command = Command::Table(TableCommand::GetSnapshot);
    match shared.router.ask(caller, name, command).await? {
        Answer::Snapshot(snapshot) => Ok(entity_tag::table_tag(
            &shared.epoch,
            table.stream.number(),
            snapshot.version(),
            &format!("{format:?}"),
        )),
        other => Err(unexpected(&other)),
    }
}

/// The pieces of a download, each written when the client has read those before: the first one now, so that a download without
/// memory for it is refused and not cut off.
async fn stream(
    shared: &Shared,
    sender: Principal,
    name: &str,
    format: DownloadFormat,
) -> Result<impl Stream<Item = Piece> + use<>, ActorError> {
    let view = TransientView::open(&shared.router, sender, name, ViewConfig::default()).await?;
    let stream = match format.text_format() {
        Some(format) => DownloadStream::Text(view.text(format).await?),
        None => DownloadStream::Arrow(Box::new(ArrowStream::new(view.batches(Naming::Readable).await?)?)),
    };
    drop(view);
    let start = stream.next().await?;
    Ok(futures::stream::try_unfold(start, |(mut stream, mut piece)| async move {
        while piece.as_ref().is_some_and(Bytes::is_empty) {
            (stream, piece) = stream.next().await?;
        }
        let Some(mut rest) = piece else { return Ok(None) };
        let sent = rest.split_to(rest.len().min(tuning::SOCKET_PIECE_BYTES));
        Ok(Some((sent, (stream, Some(rest)))))
    }))
}

type Piece = Result<Bytes, ActorError>;

/// A download that is being written.
enum DownloadStream {
    Text(TextStream),
    Arrow(Box<ArrowStream>),
}

impl DownloadStream {
    /// Writes the next piece, on another thread; `None` after the last one.
    async fn next(mut self) -> Result<(DownloadStream, Option<Bytes>), ActorError> {
        let write = move || {
            let piece = match &mut self {
                DownloadStream::Text(stream) => stream.next_piece(),
                DownloadStream::Arrow(stream) => stream.next_piece(),
            };
            piece.map(|piece| (self, piece))
        };
        web::block(write).await.map_err(|_| ActorError::Gone)?.map_err(ActorError::from)
    }
}
