//! The login of people, and what belongs to it.
//!
//! | request | effect |
//! |---|---|
//! | `GET /login?next=` | the page with the form |
//! | `POST /login` | checks the form, sets the cookie, returns to the page |
//! | `POST /logout` | ends the login and its connections |
//! | `POST /api/v1/login` | name and password as JSON, or credentials in the header: a token |
//! | `GET /api/v1/session` | who the sender is, and for how long |
//! | `POST /api/v1/ticket` | a ticket, which opens one WebSocket within half a minute as `?token=` |

use std::sync::LazyLock;
use std::time::{Duration, SystemTime};

use actix_web::http::StatusCode;
use actix_web::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, HeaderValue, LOCATION, RETRY_AFTER, SET_COOKIE,
};
use actix_web::web::{self, ServiceConfig};
use actix_web::{HttpMessage, HttpRequest, HttpResponse};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::json;

use super::authenticate::{address, answer, of_cookie, status_of};
use super::cookies::{self, Cookie};
use super::{finish, oidc};
use crate::auth::tokens::sha256;
use crate::auth::{AuthError, Authenticator, Identity};
use crate::tuning;

const PAGE: &str = include_str!("login/page.html");
const STYLE: &str = include_str!("login/style.css");

/// The page loads nothing; its style is allowed by its digest.
static POLICY: LazyLock<String> = LazyLock::new(|| {
    let digest = STANDARD.encode(sha256(STYLE.as_bytes()));
    format!(
        "default-src 'none'; style-src 'sha256-{digest}'; img-src data:; form-action 'self'; base-uri 'none'; \
         frame-ancestors 'none'"
    )
});

pub(super) fn routes(config: &mut ServiceConfig) {
    let refuse = |allowed| web::to(move || async move { finish::method_not_allowed(allowed) });
    config
        .service(
            web::resource("/login")
                .default_service(refuse("GET, HEAD, POST"))
                .route(web::get().to(show))
                .route(web::post().to(log_in)),
        )
        .service(web::resource("/logout").default_service(refuse("POST")).route(web::post().to(log_out)))
        .service(
            web::resource("/api/v1/session")
                .default_service(refuse("GET, HEAD"))
                .route(web::get().to(session)),
        )
        .service(web::resource("/api/v1/login").default_service(refuse("POST")).route(web::post().to(token)))
        .service(
            web::resource("/api/v1/ticket").default_service(refuse("POST")).route(web::post().to(ticket)),
        );
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct Next {
    #[serde(default)]
    pub(super) next: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LoginForm {
    name: String,
    password: String,
    #[serde(default)]
    next: String,
}

async fn show(auth: web::Data<Authenticator>, query: web::Query<Next>, request: HttpRequest) -> HttpResponse {
    if !auth.is_required() || of_cookie(&auth, &request).is_some() {
        return go_to(&query.next);
    }
    page(&auth, StatusCode::OK, "", &query.next, "")
}

async fn log_in(
    auth: web::Data<Authenticator>,
    form: web::Form<LoginForm>,
    request: HttpRequest,
) -> HttpResponse {
    if !auth.is_required() {
        return go_to(&form.next);
    }
    match auth.log_in(&form.name, &form.password, address(&request), "http").await {
        Ok((token, _)) => {
            let cookie = Cookie::Session.set(&token, auth.session_time(), cookies::is_secure(&request));
            let mut response = go_to(&form.next);
            set_cookie(&mut response, &cookie);
            response
        }
        Err(error) => {
            let text = sentence(&error);
            let mut response = page(&auth, status_of(&error), &form.name, &form.next, &text);
            if let AuthError::TooManyFailures { retry_seconds } = error {
                response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(retry_seconds));
            }
            response
        }
    }
}

async fn log_out(auth: web::Data<Authenticator>, request: HttpRequest) -> HttpResponse {
    if let Some(identity) = request.extensions().get::<Identity>() {
        auth.log_out(identity, address(&request), "http");
    }
    let mut response = go_to("/login");
    set_cookie(&mut response, &Cookie::Session.set("", Duration::ZERO, cookies::is_secure(&request)));
    response
}

async fn session(identity: web::ReqData<Identity>) -> HttpResponse {
    let left = identity.left(SystemTime::now()).map(|left| left.as_secs());
    HttpResponse::Ok().insert_header((CACHE_CONTROL, "no-store")).json(json!({
        "name": identity.principal.name(),
        "roles": identity.principal.roles(),
        "expires_seconds": left,
        "can_log_out": identity.session.is_some(),
    }))
}

/// Exchanges the credentials of a request for a token, as Flight's handshake does.
async fn token(
    auth: web::Data<Authenticator>,
    identity: web::ReqData<Identity>,
    request: HttpRequest,
) -> HttpResponse {
    if !auth.is_required() {
        return answer(&AuthError::Missing);
    }
    let (token, identity) = auth.open_session(identity.into_inner(), address(&request), "http");
    let left = identity.left(SystemTime::now()).map(|left| left.as_secs());
    HttpResponse::Ok().insert_header((CACHE_CONTROL, "no-store")).json(json!({
        "token": token,
        "name": identity.principal.name(),
        "expires_seconds": left,
    }))
}

async fn ticket(auth: web::Data<Authenticator>, identity: web::ReqData<Identity>) -> HttpResponse {
    HttpResponse::Ok().insert_header((CACHE_CONTROL, "no-store")).json(json!({
        "ticket": auth.issue_ticket(&identity),
        "expires_seconds": tuning::TICKET.as_secs(),
    }))
}

/// Sends the browser to a page of this server.
pub(super) fn go_to(next: &str) -> HttpResponse {
    HttpResponse::SeeOther()
        .insert_header((LOCATION, local(next)))
        .insert_header((CACHE_CONTROL, "no-store"))
        .finish()
}

/// A path of this server; `/` in place of anything else.
pub(super) fn local(next: &str) -> &str {
    let is_local = next.starts_with('/')
        && !next[1..].starts_with(['/', '\\'])
        && next.bytes().all(|byte| byte.is_ascii_graphic());
    if is_local { next } else { "/" }
}

pub(super) fn set_cookie(response: &mut HttpResponse, cookie: &str) {
    if let Ok(cookie) = HeaderValue::from_str(cookie) {
        response.headers_mut().append(SET_COOKIE, cookie);
    }
}

/// The page with the form, and with what went wrong.
pub(super) fn page(
    auth: &Authenticator,
    status: StatusCode,
    name: &str,
    next: &str,
    error: &str,
) -> HttpResponse {
    let form = match auth.has_users() {
        true => FORM.replace("{name}", &escape(name)).replace("{next}", &escape(local(next))),
        false => String::new(),
    };
    let error = match error {
        "" => String::new(),
        error => format!("<p class=\"error\" role=\"alert\">{}</p>", escape(error)),
    };
    let html = PAGE
        .replace("{style}", STYLE)
        .replace("{error}", &error)
        .replace("{form}", &form)
        .replace("{providers}", &oidc::buttons(auth, next));
    HttpResponse::build(status)
        .insert_header((CONTENT_SECURITY_POLICY, POLICY.as_str()))
        .insert_header((CACHE_CONTROL, "no-store"))
        .content_type("text/html; charset=utf-8")
        .body(html)
}

const FORM: &str = r#"<form method="post" action="/login">
<label>Name <input name="name" value="{name}" autocomplete="username" autocapitalize="none" spellcheck="false" required autofocus></label>
<label>Password <input name="password" type="password" autocomplete="current-password" required></label>
<input type="hidden" name="next" value="{next}">
<button type="submit">Log in</button>
</form>"#;

/// An error as a sentence for people.
pub(super) fn sentence(error: &AuthError) -> String {
    let text = error.to_string();
    let mut characters = text.chars();
    let first = characters.next().map(|first| first.to_uppercase().to_string());
    format!("{}{}.", first.unwrap_or_default(), characters.as_str())
}

pub(super) fn escape(text: &str) -> String {
    text.chars().fold(String::new(), |mut escaped, character| {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
        escaped
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_paths_of_this_server_are_returned_to() {
        for path in ["/", "/?table=a#x", "/api/v1/tables"] {
            assert_eq!(local(path), path);
        }
        for other in
            ["", "//evil.test", "/\\evil.test", "https://evil.test", "/a\r\nSet-Cookie: x", "javascript:x"]
        {
            assert_eq!(local(other), "/", "{other}");
        }
    }

    #[test]
    fn what_people_type_is_no_markup() {
        assert_eq!(escape("<a b=\"c\">'&"), "&lt;a b=&quot;c&quot;&gt;&#39;&amp;");
    }
}
