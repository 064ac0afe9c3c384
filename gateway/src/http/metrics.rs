//! `/metrics` in Prometheus's text format.

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use proscenium_actors::table::{GetTableStats, TableStats};
use proscenium_actors::{Catalog, tuning};

use super::Shared;
use super::authenticate::RequestSender;
use crate::wire_errors::{http_error, to_http};

pub(super) async fn scrape(shared: web::Data<Shared>, RequestSender(sender): RequestSender) -> HttpResponse {
    if let Err(fault) = shared.router.rights().check_operate(&sender) {
        return to_http(&fault, "");
    }
    let catalog = shared.router.catalog();
    let table_stats = table_stats(catalog).await;
    match shared.metrics.text(&table_stats, catalog.num_views(), catalog.memory()) {
        Ok(text) => HttpResponse::Ok().content_type("text/plain; version=0.0.4; charset=utf-8").body(text),
        Err(error) => http_error(StatusCode::INTERNAL_SERVER_ERROR, "internal", &error.to_string()),
    }
}

/// The statistics of each listed table. One that is deleted meanwhile, or does not answer in time, is left out.
pub(super) async fn table_stats(catalog: &Catalog) -> Vec<(String, TableStats)> {
    let hosted = catalog.list();
    let mut found = Vec::with_capacity(hosted.len());
    for entry in hosted {
        let Ok(table) = catalog.table(&entry.name) else { continue };
        if let Ok(read) = table.mailbox.ask(tuning::ASK_DEADLINE, |reply| GetTableStats { reply }).await {
            found.push((entry.name.to_string(), read));
        }
    }
    found
}
