//! `/metrics` in Prometheus's text format.

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use proscenium_actors::table::GetTableStats;
use proscenium_actors::tuning;

use super::Shared;
use crate::wire_errors::http_error;

pub(super) async fn scrape(shared: web::Data<Shared>) -> HttpResponse {
    let hosted = shared.router.catalog().list();
    let mut table_stats = Vec::with_capacity(hosted.len());
    for entry in hosted {
        // A table that is deleted during the scrape is left out.
        let Ok(table) = shared.router.catalog().table(&entry.name) else { continue };
        if let Ok(read) = table.mailbox.ask(tuning::ASK_DEADLINE, |reply| GetTableStats { reply }).await {
            table_stats.push((entry.name.to_string(), read));
        }
    }
    let catalog = shared.router.catalog();
    match shared.metrics.text(&table_stats, catalog.num_views(), catalog.memory()) {
        Ok(text) => HttpResponse::Ok().content_type("text/plain; version=0.0.4; charset=utf-8").body(text),
        Err(error) => http_error(StatusCode::INTERNAL_SERVER_ERROR, "internal", &error.to_string()),
    }
}
