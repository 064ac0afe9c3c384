//! The middleware that refuses requests of pages of foreign sites: see [`crate::sites`].

use actix_web::body::{EitherBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::Method;
use actix_web::http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_MAX_AGE, HeaderName, HeaderValue, ORIGIN, UPGRADE, VARY,
};
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage, HttpResponse, web};
use serde_json::json;

use crate::sites::{Effect, Site, SiteGuard};

/// Checks a request before its handler runs, and allows pages of listed sites to read the response.
///
/// Without a [`SiteGuard`] in the application's data, every request fails.
pub async fn check(
    sites: web::Data<SiteGuard>,
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<EitherBody<impl MessageBody>>, Error> {
    let is_handshake = request.headers().contains_key(UPGRADE);
    let is_read = matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS) && !is_handshake;
    let site = match sites.check(request.headers(), if is_read { Effect::Read } else { Effect::Act }) {
        Ok(site) => site,
        Err(refusal) => {
            let (method, path) = (request.method(), request.path());
            tracing::warn!(%method, path, peer = ?request.peer_addr(), reason = %refusal, "request refused");
            let response = HttpResponse::Forbidden().json(json!({ "error": refusal.to_string() }));
            return Ok(request.into_response(response).map_into_right_body());
        }
    };
    request.extensions_mut().insert(site);
    let origin = request.headers().get(ORIGIN).filter(|_| matches!(site, Site::Listed | Site::Any)).cloned();
    let is_named = site == Site::Listed;
    let is_preflight = *request.method() == Method::OPTIONS && origin.is_some();
    let mut response = match is_preflight {
        true => request.into_response(HttpResponse::NoContent().finish()).map_into_right_body(),
        false => next.call(request).await?.map_into_left_body(),
    };
    let headers = response.headers_mut();
    headers.append(VARY, HeaderValue::from_static("origin"));
    headers.insert(HeaderName::from_static("x-content-type-options"), HeaderValue::from_static("nosniff"));
    if let Some(origin) = origin {
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        if is_named {
            // Logins are for pages of sites that are named, not of every site.
            headers.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
        }
        if is_preflight {
            let allow = |text| HeaderValue::from_static(text);
            headers.insert(ACCESS_CONTROL_ALLOW_METHODS, allow("GET, HEAD, PUT, POST, DELETE"));
            headers.insert(
                ACCESS_CONTROL_ALLOW_HEADERS,
                allow("authorization, content-type, content-encoding, idempotency-key"),
            );
            headers.insert(ACCESS_CONTROL_MAX_AGE, allow("600"));
        }
    }
    Ok(response)
}
