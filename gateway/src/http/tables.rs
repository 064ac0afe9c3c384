//! HTTP endpoints of tables: list, upload ([`upload`](super::upload)), download ([`download`](super::download)), delete.
//!
//! | request | effect |
//! |---|---|
//! | `GET /api/v1/tables` | lists the tables, with their columns, rows, bytes and versions |
//! | `PUT /api/v1/tables/{table}?…` | creates the table, or replaces all its rows |
//! | `POST /api/v1/tables/{table}?…` | creates the table, or adds and merges rows |
//! | `GET /api/v1/tables/{table}?format=` | downloads it: json (default), columns, ndjson, csv, arrow |
//! | `GET /api/v1/tables/{table}/status` | rows, version, epoch, whether it is durable, bytes on disk |
//! | `DELETE /api/v1/tables/{table}` | deletes it |
//! | `DELETE /api/v1/tables/{table}/rows?format=` | removes the rows whose keys are the body |
//!
//! An upload's format is given by the parameter, or else by the `Content-Type`. Uploads may be compressed
//! (`Content-Encoding`); downloads are where the client accepts it (`Accept-Encoding`).

use std::collections::HashMap;

use actix_web::http::header::HeaderName;
use actix_web::{HttpRequest, HttpResponse, web};
use proscenium_engine::hosting::{Answer, Command, HostedTable, Principal, TableCommand};
use proscenium_engine::table::Snapshot;
use serde_json::json;

use super::authenticate::RequestSender;
use super::{Shared, metrics};
use crate::transient_view::unexpected;
use crate::{table_listing, wire_errors};

pub(super) async fn list(shared: web::Data<Shared>, RequestSender(sender): RequestSender) -> HttpResponse {
    let hosted = match table_listing::list(&shared.router, sender.clone()).await {
        Ok(hosted) => hosted,
        Err(fault) => return wire_errors::to_http(&fault, ""),
    };
    let bytes: HashMap<String, usize> = metrics::table_stats(shared.router.catalog())
        .await
        .into_iter()
        .map(|(name, stats)| (name, stats.num_bytes))
        .collect();
    let entry = |(table, snapshot): (HostedTable, Snapshot)| {
        let columns: serde_json::Map<String, serde_json::Value> = snapshot
            .schema()
            .fields()
            .iter()
            .map(|field| (field.name.to_string(), field.column_type().name().into()))
            .collect();
        let mut entry = json!({
            "name": &*table.name, "index": table.index, "limit": table.limit,
            "rows": snapshot.num_rows(), "columns": columns,
        });
        if let Some(position) = position(&shared, &sender, &table.name, &snapshot) {
            merge(&mut entry, json!({ "bytes": bytes.get(&*table.name) }));
            merge(&mut entry, position);
        }
        entry
    };
    HttpResponse::Ok().json(hosted.into_iter().map(entry).collect::<Vec<_>>())
}

/// What is known of one table's place on the disk.
pub(super) async fn status(
    shared: web::Data<Shared>,
    RequestSender(sender): RequestSender,
    name: web::Path<String>,
) -> HttpResponse {
    let caller = shared.router.caller(sender.clone());
    let command = Command::Table(TableCommand::GetSnapshot);
    match shared.router.ask(caller, &name, command).await {
        Ok(Answer::Snapshot(snapshot)) => {
            let mut status = json!({ "name": &*name, "rows": snapshot.num_rows() });
            if let Some(position) = position(&shared, &sender, &name, &snapshot) {
                merge(&mut status, position);
            }
            HttpResponse::Ok().json(status)
        }
        Ok(other) => wire_errors::to_http(&unexpected(&other), &name),
        Err(fault) => wire_errors::to_http(&fault, &name),
    }
}

/// The version of a table, unless the reader sees a part of it: it counts the writes to all rows. And, if it is durable, the start that the version is of and its bytes on the disk.
fn position(
    shared: &Shared,
    reader: &Principal,
    name: &str,
    snapshot: &Snapshot,
) -> Option<serde_json::Value> {
    if shared.router.sees_a_part(reader, name) {
        return None;
    }
    let catalog = shared.router.catalog();
    let id = catalog.table(name).ok().and_then(|table| table.durable_id);
    Some(match (catalog.data(), id) {
        (Some(data), Some(id)) => json!({
            "version": snapshot.version(), "durable": true, "epoch": data.epoch(),
            "bytes_on_disk": data.table_bytes(id),
        }),
        _ => json!({ "version": snapshot.version(), "durable": false }),
    })
}

fn merge(into: &mut serde_json::Value, from: serde_json::Value) {
    if let (serde_json::Value::Object(into), serde_json::Value::Object(from)) = (into, from) {
        into.extend(from);
    }
}

pub(super) async fn delete(
    shared: web::Data<Shared>,
    RequestSender(sender): RequestSender,
    name: web::Path<String>,
) -> HttpResponse {
    // Deleting a table that does not exist succeeds for WebSocket clients; here it is an error, as for a file.
    if let Err(fault) = shared.router.find_for(&sender, &name) {
        return wire_errors::to_http(&fault, &name);
    }
    let caller = shared.router.caller(sender);
    let command = Command::Table(TableCommand::Delete { lazy: false });
    match shared.router.ask(caller, &name, command).await {
        Ok(_) => HttpResponse::NoContent().finish(),
        Err(fault) => wire_errors::to_http(&fault, &name),
    }
}

/// A header's text in lower case; empty if it is absent.
pub(super) fn header(request: &HttpRequest, name: HeaderName) -> String {
    request.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or("").to_ascii_lowercase()
}
