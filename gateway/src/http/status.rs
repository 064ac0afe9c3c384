//! `/api/v1/status`: what an operator wants to see at a glance, as JSON.
//!
//! Invariant: `*_total` and the `version` of a table only grow, so the difference of two readings is what happened between
//! them. Scrapers read `/metrics`, which has more.

use actix_web::{HttpResponse, web};
use proscenium_actors::data_directory::RecoveryState;
use proscenium_actors::table::TableStats;
use proscenium_engine::memory::{MemoryAccount, MemoryKind};
use serde_json::{Map, Value, json};

use super::authenticate::RequestSender;
use super::{Shared, metrics};
use crate::memory_probe::ProcessMemory;
use crate::wire_errors::to_http;

pub(super) async fn read(shared: web::Data<Shared>, RequestSender(sender): RequestSender) -> HttpResponse {
    if let Err(fault) = shared.router.rights().check_operate(&sender) {
        return to_http(&fault, "");
    }
    let catalog = shared.router.catalog();
    let tables = metrics::table_stats(catalog).await;
    let counted = &shared.metrics;
    HttpResponse::Ok().json(json!({
        "version": env!("CARGO_PKG_VERSION"),
        "ready": shared.readiness.is_ready(),
        "recovery": shared.readiness.recovery().map(recovery),
        "uptime_seconds": counted.started.elapsed().as_secs_f64(),
        "sessions": {
            "open": counted.sessions.get(),
            "total": counted.sessions_total.get(),
            "refused": counted.sessions_refused_total.get(),
        },
        "requests_total": counted.requests_total.get(),
        "received_bytes_total": counted.received_bytes_total.get(),
        "sent_bytes_total": counted.sent_bytes_total.get(),
        "views": catalog.num_views(),
        "memory": memory(catalog.memory()),
        "tables": tables.iter().map(|(name, stats)| table(name, stats)).collect::<Vec<_>>(),
    }))
}

/// The progress of a start that is not over.
fn recovery(RecoveryState { phase, tables, tables_total, bytes, bytes_total, rows }: RecoveryState) -> Value {
    json!({
        "phase": phase.text(),
        "tables": tables,
        "tables_total": tables_total,
        "bytes": bytes,
        "bytes_total": bytes_total,
        "rows": rows,
    })
}

fn table(name: &str, stats: &TableStats) -> Value {
    json!({
        "name": name,
        "rows": stats.num_rows,
        "bytes": stats.num_bytes,
        "version": stats.version,
        "views": stats.views.iter().map(|view| view.num_handles).sum::<usize>(),
        "shared_views": stats.views.len(),
        "subscriptions": stats.views.iter().map(|view| view.num_followers).sum::<usize>(),
        "waiting": stats.num_waiting,
    })
}

fn memory(account: &MemoryAccount) -> Value {
    let ProcessMemory { resident_bytes, shared_bytes, .. } = ProcessMemory::read();
    let usage = account.usage().unwrap_or_default();
    let refused: Map<String, Value> = MemoryKind::ALL
        .into_iter()
        .zip(usage.refused_by_kind)
        .filter(|(_, refused)| *refused > 0)
        .map(|(kind, refused)| (kind.label().to_owned(), refused.into()))
        .collect();
    json!({
        "used_bytes": resident_bytes.saturating_sub(shared_bytes),
        "limit_bytes": account.limits().map(|limits| limits.server),
        "reserved_bytes": usage.reserved_bytes,
        "peak_reserved_bytes": usage.peak_bytes,
        "refused": refused,
    })
}
