//! Downloads: a table as text or Arrow.
//!
//! Invariant: a download is a view of all columns, read as WebSocket clients read it, with the same limits. It is one version
//! of its table, regardless of writes meanwhile.
//!
//! Cost: it is written piece by piece as the client reads it, so a download of any length holds two pieces besides the
//! shared snapshot.

use std::convert::Infallible;
use std::time::Instant;

use actix_web::body::BodyStream;
use actix_web::http::StatusCode;
use actix_web::http::header::{ACCEPT, ETAG, ETag, TryIntoHeaderValue as _};
use actix_web::{HttpMessage, HttpRequest, HttpResponse, web};
use bytes::Bytes;
use futures::{Stream, StreamExt};
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

/// The format of a download.
#[derive(Debug, Clone, Copy)]
pub(super) enum DownloadFormat {
    Json,
    Columns,
    Ndjson,
    Csv,
    Arrow,
}

impl DownloadFormat {
    pub(super) fn requested(
        format: Option<&str>,
        request: &HttpRequest,
    ) -> Result<DownloadFormat, EngineError> {
        let accept = header(request, ACCEPT);
        match format {
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
    let format = match DownloadFormat::requested(query.format.as_deref(), &request) {
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
    let mut response = send(&shared, sender, &name, ViewConfig::default(), format).await;
    if response.status() == StatusCode::OK
        && let Ok(tag) = tag.try_into_value()
    {
        response.headers_mut().insert(ETAG, tag);
    }
    response
}

/// The response with a view of a table.
pub(super) async fn send(
    shared: &Shared,
    sender: Principal,
    name: &str,
    view: ViewConfig,
    format: DownloadFormat,
) -> HttpResponse {
    let opened = stream(shared, sender.clone(), name, view, format).await;
    shared.router.record_export(&sender, name, &opened);
    match opened {
        Ok(pieces) => {
            let pieces = paced(shared.clone(), sender, pieces);
            HttpResponse::Ok().content_type(format.content_type()).streaming(pieces)
        }
        Err(fault) => to_http(&fault, name),
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
    view: ViewConfig,
    format: DownloadFormat,
) -> Result<impl Stream<Item = Piece> + use<>, ActorError> {
    let view = TransientView::open(&shared.router, sender, name, view).await?;
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

/// Sends the pieces no faster than the sender's roles allow.
fn paced(shared: Shared, sender: Principal, pieces: impl Stream<Item = Piece>) -> impl Stream<Item = Piece> {
    let usage = shared.quotas.of(&sender);
    pieces.then(move |piece| {
        let rate = shared.router.rights().policy().limits_of(&sender).bytes_per_second;
        let limited = usage.clone().zip(rate);
        async move {
            if let (Some((usage, rate)), Ok(bytes)) = (limited, &piece) {
                if let Some(wait) = usage.wait(rate.0, Instant::now()) {
                    tokio::time::sleep(wait).await;
                }
                usage.spend(bytes.len() as u64, rate.0, Instant::now());
            }
            piece
        }
    })
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
