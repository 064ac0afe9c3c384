//! HTTP endpoints of tables: list, upload ([`upload`](super::upload)), download ([`download`](super::download)), delete.
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
//! (`Content-Encoding`); downloads are where the client accepts it (`Accept-Encoding`).

use actix_web::http::StatusCode;
use actix_web::http::header::HeaderName;
use actix_web::{HttpRequest, HttpResponse, web};
use proscenium_actors::{ActorError, Caller};
use proscenium_engine::hosting::{Command, HostedTable, Principal, Subject, TableCommand};
use proscenium_engine::table::Snapshot;
use serde_json::json;

use super::Shared;
use crate::table_listing;

pub(super) async fn list(shared: web::Data<Shared>) -> HttpResponse {
    let hosted = match table_listing::list(&shared.router, Principal::anonymous()).await {
        Ok(hosted) => hosted,
        Err(fault) => return refuse(&fault, ""),
    };
    let entry = |(table, snapshot): (HostedTable, Snapshot)| {
        let columns: serde_json::Map<String, serde_json::Value> = snapshot
            .schema()
            .fields()
            .iter()
            .map(|field| (field.name.to_string(), field.column_type().name().into()))
            .collect();
        json!({
            "name": &*table.name, "index": table.index, "limit": table.limit,
            "rows": snapshot.num_rows(), "columns": columns,
        })
    };
    HttpResponse::Ok().json(hosted.into_iter().map(entry).collect::<Vec<_>>())
}

pub(super) async fn delete(shared: web::Data<Shared>, name: web::Path<String>) -> HttpResponse {
    // Deleting a table that does not exist succeeds for WebSocket clients; here it is an error, as for a file.
    if let Err(fault) = shared.router.find(Subject::Table, &name) {
        return refuse(&fault, &name);
    }
    let caller = Caller::without_connection(Principal::anonymous());
    let command = Command::Table(TableCommand::Delete { lazy: false });
    match shared.router.ask(caller, &name, command).await {
        Ok(_) => HttpResponse::NoContent().finish(),
        Err(fault) => refuse(&fault, &name),
    }
}

/// A header's text in lower case; empty if it is absent.
pub(super) fn header(request: &HttpRequest, name: HeaderName) -> String {
    request.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or("").to_ascii_lowercase()
}

/// The response to an error of a command about the table `name`.
pub(super) fn refuse(fault: &ActorError, name: &str) -> HttpResponse {
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

/// A response with an error.
pub(super) fn error(status: StatusCode, message: &str) -> HttpResponse {
    HttpResponse::build(status).json(json!({ "error": message }))
}
