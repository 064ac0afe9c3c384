//! Health checks: whether the process is alive, and whether it accepts new work.

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};

use super::Shared;
use crate::wire_errors::http_error;

pub(super) async fn live(shared: web::Data<Shared>) -> HttpResponse {
    if let Some(reason) = shared.readiness.failure() {
        return http_error(StatusCode::SERVICE_UNAVAILABLE, "failed", reason);
    }
    HttpResponse::Ok().content_type("text/plain; charset=utf-8").body("live\n")
}

pub(super) async fn ready(shared: web::Data<Shared>) -> HttpResponse {
    if let Some(reason) = shared.readiness.failure() {
        return http_error(StatusCode::SERVICE_UNAVAILABLE, "failed", reason);
    }
    if let Some(recovery) = shared.readiness.recovery() {
        let text = format!("the server recovers its tables: {recovery}");
        return http_error(StatusCode::SERVICE_UNAVAILABLE, "recovering", &text);
    }
    if shared.readiness.is_ready() {
        HttpResponse::Ok().content_type("text/plain; charset=utf-8").body("ready\n")
    } else {
        http_error(StatusCode::SERVICE_UNAVAILABLE, "not_ready", "the server does not accept new work")
    }
}
