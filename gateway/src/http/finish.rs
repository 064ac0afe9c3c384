//! The middleware that gives every response what all of them have: JSON errors, headers that tell browsers what the page and
//! the answers may do, and an answer to HEAD wherever there is one to GET.
//!
//! Invariant: a response with an error status is JSON with `error` and `code`, wherever it was made; a handler that
//! panics is one, too.

use std::panic::AssertUnwindSafe;

use actix_web::body::{BoxBody, EitherBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::error::InternalError;
use actix_web::http::header::{
    ALLOW, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, REFERRER_POLICY,
    STRICT_TRANSPORT_SECURITY, UPGRADE, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use actix_web::http::{Method, StatusCode};
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage, HttpResponse};
use futures::FutureExt;

use crate::session::IsEncrypted;
use crate::wire_errors::http_error;

/// What the page may load and connect to: this server, and what the viewer makes itself (WebAssembly, its workers
/// and modules, the styles of its shadow roots). Pages of other sites may not frame it.
const PAGE_POLICY: &str = "default-src 'self'; script-src 'self' 'wasm-unsafe-eval' blob:; worker-src 'self' blob:; \
     style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; font-src 'self' data:; \
     connect-src 'self' ws: wss: data: blob:; object-src 'none'; base-uri 'none'; form-action 'none'; \
     frame-ancestors 'self'";

/// Answers to programs load nothing.
const ANSWER_POLICY: &str = "default-src 'none'; frame-ancestors 'none'";

/// Browsers that have reached the server over TLS use nothing else for half a year.
const TLS_FROM_NOW: &str = "max-age=15768000";

/// Marks a request whose response is sent without its body, so that handlers need not make a long one.
#[derive(Debug, Clone, Copy)]
pub(super) struct HeadOnly;

/// Runs the handler and completes its response.
pub async fn finish(
    mut request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<EitherBody<impl MessageBody, BoxBody>>, Error> {
    if *request.method() == Method::HEAD && !request.headers().contains_key(UPGRADE) {
        // The routes see a GET; the web server leaves out the body of its response.
        request.head_mut().method = Method::GET;
        request.extensions_mut().insert(HeadOnly);
    }
    let (method, path) = (request.method().clone(), request.path().to_owned());
    let is_encrypted = request.conn_data::<IsEncrypted>().copied();
    let mut response = match AssertUnwindSafe(next.call(request)).catch_unwind().await {
        Ok(Ok(response)) => as_json(response),
        Ok(Err(error)) => {
            let made = error.as_response_error().error_response();
            return Err(failed(error_of(made.status(), &error.to_string(), made.headers())));
        }
        Err(_) => {
            tracing::error!(%method, path, "a request's handler panicked");
            let text = "the request failed by a mistake of the server";
            return Err(failed(http_error(StatusCode::INTERNAL_SERVER_ERROR, "internal", text)));
        }
    };
    // The headers of a 304 replace those that the browser keeps with the content, of whose type a 304 says nothing.
    if !matches!(response.status(), StatusCode::SWITCHING_PROTOCOLS | StatusCode::NOT_MODIFIED) {
        secure(response.headers_mut());
        if is_encrypted == Some(IsEncrypted(true)) {
            response.headers_mut().insert(STRICT_TRANSPORT_SECURITY, HeaderValue::from_static(TLS_FROM_NOW));
        }
    }
    Ok(response)
}

/// The error that is sent as this response. The request is gone, so there is no other way to answer it.
fn failed(mut answer: HttpResponse) -> Error {
    secure(answer.headers_mut());
    InternalError::from_response("failed", answer).into()
}

fn as_json<B: MessageBody>(response: ServiceResponse<B>) -> ServiceResponse<EitherBody<B, BoxBody>> {
    let status = response.status();
    let is_error = status.is_client_error() || status.is_server_error();
    let content_type = response.headers().get(CONTENT_TYPE);
    // The page of the login says what went wrong itself.
    let is_finished = |value: &HeaderValue| {
        [&b"application/json"[..], b"text/html"].iter().any(|kind| value.as_bytes().starts_with(kind))
    };
    if !is_error || content_type.is_some_and(is_finished) {
        return response.map_into_left_body();
    }
    let reason = || status.canonical_reason().unwrap_or("the request cannot be served").to_lowercase();
    let text = response.response().error().map_or_else(reason, ToString::to_string);
    let answer = error_of(status, &text, response.headers());
    response.into_response(answer).map_into_right_body()
}

/// The response to an error that has no code of its own.
fn error_of(status: StatusCode, text: &str, made: &HeaderMap) -> HttpResponse {
    let code = match status {
        StatusCode::NOT_FOUND => "not_found",
        StatusCode::METHOD_NOT_ALLOWED => "method_not_allowed",
        StatusCode::NOT_ACCEPTABLE => "not_acceptable",
        StatusCode::PAYLOAD_TOO_LARGE => "too_large",
        StatusCode::PRECONDITION_FAILED => "precondition_failed",
        StatusCode::RANGE_NOT_SATISFIABLE => "range_not_satisfiable",
        status if status.is_server_error() => "internal",
        _ => "malformed_request",
    };
    let mut answer = http_error(status, code, text);
    for (name, value) in made.iter().filter(|(name, _)| **name != CONTENT_TYPE && !is_of_body(name)) {
        answer.headers_mut().append(name.clone(), value.clone());
    }
    answer
}

/// Whether a header describes the body that is replaced.
fn is_of_body(name: &HeaderName) -> bool {
    name.as_str().starts_with("content-") || name.as_str() == "transfer-encoding"
}

fn secure(headers: &mut HeaderMap) {
    let content_type = headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
    // Workers have the policy of their script.
    let is_of_page = content_type.starts_with(b"text/html") || content_type.starts_with(b"text/javascript");
    let (policy, frames) = match is_of_page {
        true => (PAGE_POLICY, "SAMEORIGIN"),
        false => (ANSWER_POLICY, "DENY"),
    };
    // The page of the login has its own.
    if !headers.contains_key(CONTENT_SECURITY_POLICY) {
        headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy));
    }
    headers.insert(X_FRAME_OPTIONS, HeaderValue::from_static(frames));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("same-origin"));
}

/// The response to a method that a resource does not have; `allowed` lists those that it has.
pub(super) fn method_not_allowed(allowed: &'static str) -> HttpResponse {
    let text = format!("this resource has only {allowed}");
    let mut answer = http_error(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", &text);
    answer.headers_mut().insert(ALLOW, HeaderValue::from_static(allowed));
    answer
}
