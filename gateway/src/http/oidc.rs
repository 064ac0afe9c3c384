//! The login of people at an identity provider.
//!
//! | request | effect |
//! |---|---|
//! | `GET /login/provider/{number}?next=` | sends the browser to the provider |
//! | `GET /login/callback?code=&state=` | takes the browser back, sets the cookie, returns to the page |

use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::http::header::{CACHE_CONTROL, HOST, LOCATION};
use actix_web::web::{self, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use serde::Deserialize;

use super::authenticate::{address, status_of};
use super::cookies::{self, Cookie};
use super::finish;
use super::login::{Next, escape, go_to, local, page, sentence, set_cookie};
use crate::audit::AuditEvent;
use crate::auth::http_client::percent_encode;
use crate::auth::{AuthError, Authenticator};
use crate::tuning;

pub(super) fn routes(config: &mut ServiceConfig) {
    let refuse = || web::to(async || finish::method_not_allowed("GET, HEAD"));
    config
        .service(
            web::resource("/login/provider/{number}").default_service(refuse()).route(web::get().to(begin)),
        )
        .service(web::resource("/login/callback").default_service(refuse()).route(web::get().to(callback)));
}

/// The buttons of the login page, one for each provider that allows a login.
pub(super) fn buttons(auth: &Authenticator, next: &str) -> String {
    let providers = auth.providers();
    let logins = providers.iter().enumerate().filter_map(|(number, provider)| {
        let config = &provider.config;
        let label = config.login.as_ref()?.label.clone();
        let host = config.issuer.split("://").nth(1).unwrap_or_default();
        let label =
            label.unwrap_or_else(|| format!("Log in with {}", host.split('/').next().unwrap_or_default()));
        let next = percent_encode(local(next));
        Some(format!(
            "<a class=\"provider\" href=\"/login/provider/{number}?next={next}\">{}</a>",
            escape(&label)
        ))
    });
    logins.collect()
}

async fn begin(
    auth: web::Data<Authenticator>,
    number: web::Path<usize>,
    query: web::Query<Next>,
    request: HttpRequest,
) -> HttpResponse {
    let providers = auth.providers();
    let Some(provider) = providers.get(*number) else { return go_to("/login") };
    let is_secure = cookies::is_secure(&request);
    let scheme = if is_secure { "https" } else { "http" };
    let host = request.headers().get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let redirect_uri = format!("{scheme}://{host}/login/callback");
    match auth.pending_logins().begin(provider, redirect_uri, local(&query.next)).await {
        Ok(begun) => {
            let mut response = HttpResponse::SeeOther()
                .insert_header((LOCATION, begun.location))
                .insert_header((CACHE_CONTROL, "no-store"))
                .finish();
            let cookie = Cookie::Pending.set(&begun.browser, tuning::PENDING_LOGIN, is_secure);
            set_cookie(&mut response, &cookie);
            response
        }
        Err(error) => page(&auth, status_of(&error), "", &query.next, &sentence(&error)),
    }
}

#[derive(Deserialize)]
struct Callback {
    state: Option<String>,
    code: Option<String>,
    error: Option<String>,
}

async fn callback(
    auth: web::Data<Authenticator>,
    query: web::Query<Callback>,
    request: HttpRequest,
) -> HttpResponse {
    let is_secure = cookies::is_secure(&request);
    let browser = Cookie::Pending.get(request.headers(), is_secure).unwrap_or_default().to_owned();
    let finished = match query.into_inner() {
        Callback { state: Some(state), code: Some(code), error: None } => {
            auth.pending_logins().finish(&state, &browser, &code).await
        }
        Callback { error: Some(_), .. } => Err(AuthError::Token("was refused by the identity provider")),
        Callback { .. } => Err(AuthError::Token("is missing")),
    };
    let from = address(&request);
    let mut response = match finished {
        Ok(finished) => {
            let (token, _) = auth.open_session(finished.identity, from, "http");
            let mut response = go_to(&finished.next);
            set_cookie(&mut response, &Cookie::Session.set(&token, auth.session_time(), is_secure));
            response
        }
        Err(error) => {
            let reason = error.to_string();
            let event = AuditEvent { from: Some(from), via: "http", ..AuditEvent::refused("login", &reason) };
            auth.audit().record(&event);
            let status = if status_of(&error) == StatusCode::UNAUTHORIZED {
                StatusCode::FORBIDDEN
            } else {
                status_of(&error)
            };
            page(&auth, status, "", "/", &sentence(&error))
        }
    };
    set_cookie(&mut response, &Cookie::Pending.set("", Duration::ZERO, is_secure));
    response
}
