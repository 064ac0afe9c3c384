//! The middleware that authenticates the sender of each request, and refuses those who must log in first.
//!
//! Invariant: a handler that asks for the [`RequestSender`] gets one that was authenticated. Only the login itself and the
//! health checks are open. A cookie counts only for pages of this server and of sites that are listed by name; a request
//! with side effects and a WebSocket handshake must say which page they come from. Credentials appear in no log.

use std::future::{Ready, ready};
use std::net::{IpAddr, Ipv4Addr};
use std::time::SystemTime;

use actix_web::body::{BoxBody, EitherBody, MessageBody};
use actix_web::dev::{Payload, ServiceRequest, ServiceResponse};
use actix_web::error::ErrorInternalServerError;
use actix_web::http::header::{
    ACCEPT, AUTHORIZATION, CACHE_CONTROL, HeaderValue, LOCATION, ORIGIN, RETRY_AFTER, SET_COOKIE, UPGRADE,
    WWW_AUTHENTICATE,
};
use actix_web::http::{Method, StatusCode};
use actix_web::middleware::Next;
use actix_web::{Error, FromRequest, HttpMessage, HttpRequest, HttpResponse, web};
use proscenium_engine::hosting::{Peer, Principal};

use super::cookies::{self, Cookie};
use crate::auth::http_client::percent_encode;
use crate::auth::links;
use crate::auth::{AuthError, Authenticator, Credentials, Identity};
use crate::sites::Site;
use crate::wire_errors::http_error;

/// Who sent a request.
#[derive(Debug, Clone)]
pub struct RequestSender(pub Principal);

impl FromRequest for RequestSender {
    type Error = Error;
    type Future = Ready<Result<Self, Error>>;

    fn from_request(request: &HttpRequest, _payload: &mut Payload) -> Self::Future {
        ready(RequestSender::of(request))
    }
}

impl RequestSender {
    /// Who sent this request.
    ///
    /// # Errors
    ///
    /// The sender was not authenticated, which is a mistake of the server.
    pub fn of(request: &HttpRequest) -> Result<RequestSender, Error> {
        let extensions = request.extensions();
        let sender = extensions.get::<Identity>().map(|identity| RequestSender(identity.principal.clone()));
        sender.ok_or_else(|| ErrorInternalServerError("the sender was not authenticated"))
    }
}

/// Authenticates the sender before the handler runs.
pub async fn authenticate(
    auth: web::Data<Authenticator>,
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<EitherBody<impl MessageBody, BoxBody>>, Error> {
    if is_open(request.path()) {
        return Ok(next.call(request).await?.map_into_left_body());
    }
    let endpoint = if is_handshake(request.request()) { "websocket" } else { "http" };
    match identify(&auth, request.request(), endpoint).await {
        Ok(identity) => {
            let (link, is_secure) = (link_of_page(request.request()), cookies::is_secure(request.request()));
            let lasting = identity.left(SystemTime::now()).unwrap_or_default();
            request.extensions_mut().insert(identity);
            let mut response = next.call(request).await?;
            if let Some(link) = link
                && let Ok(cookie) = HeaderValue::from_str(&Cookie::Link.set(&link, lasting, is_secure))
            {
                // For the page's files, whose requests carry no link.
                response.headers_mut().append(SET_COOKIE, cookie);
            }
            Ok(response.map_into_left_body())
        }
        Err(error) => {
            let response = refuse(request.request(), &error);
            Ok(request.into_response(response).map_into_right_body())
        }
    }
}

/// Whether a path is open to everybody.
fn is_open(path: &str) -> bool {
    path == "/login" || path.starts_with("/login/") || path == "/health/live" || path == "/health/ready"
}

fn is_handshake(request: &HttpRequest) -> bool {
    request.path().ends_with("/websocket") && request.headers().contains_key(UPGRADE)
}

/// The address that a request comes from.
pub(super) fn address(request: &HttpRequest) -> IpAddr {
    request.peer_addr().map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |address| address.ip())
}

/// Authenticates the sender of a request.
pub(super) async fn identify(
    auth: &Authenticator,
    request: &HttpRequest,
    endpoint: &'static str,
) -> Result<Identity, AuthError> {
    let from = address(request);
    let credentials = match request.headers().get(AUTHORIZATION) {
        Some(header) => Some(Credentials::parse(header.as_bytes())?),
        None => of_query(request),
    };
    let identity = match &credentials {
        None => match of_cookie(auth, request) {
            Some(identity) => identity,
            None => match of_link_cookie(request) {
                // A cookie of a link that has ended is as none.
                Some(link) => match auth.find_bearer(&link) {
                    Some(identity) => identity,
                    None => auth.authenticate(None, from, endpoint).await?,
                },
                None => auth.authenticate(None, from, endpoint).await?,
            },
        },
        given => auth.authenticate(given.as_ref(), from, endpoint).await?,
    };
    let principal = identity.principal.clone().with_peer(Peer { address: from, endpoint });
    Ok(Identity { principal, ..identity })
}

/// What a URL shows: the ticket of a WebSocket, or a link that was sealed. Other requests can send headers.
fn of_query(request: &HttpRequest) -> Option<Credentials> {
    let find = |wanted| {
        let mut pairs = request.query_string().split('&').filter_map(|pair| pair.split_once('='));
        pairs.find_map(|(name, value)| (name == wanted).then(|| value.to_owned()))
    };
    let of_link = |token: &String| token.starts_with(links::PREFIX);
    if is_handshake(request) {
        let token = find("token")?;
        return Some(if of_link(&token) { Credentials::Bearer(token) } else { Credentials::Ticket(token) });
    }
    let is_read = matches!(*request.method(), Method::GET | Method::HEAD);
    match request.path() {
        "/api/v1/links" if is_read => find("token").filter(of_link).map(Credentials::Bearer),
        "/" if is_read => link_of_page(request).map(Credentials::Bearer),
        _ => None,
    }
}

/// The link by which the page is opened.
fn link_of_page(request: &HttpRequest) -> Option<String> {
    let mut pairs = request.query_string().split('&').filter_map(|pair| pair.split_once('='));
    let token = pairs.find_map(|(name, value)| (name == "link").then(|| value.to_owned()))?;
    (request.path() == "/" && token.starts_with(links::PREFIX)).then_some(token)
}

/// The link by which a browser opened the page, for what the page reads.
fn of_link_cookie(request: &HttpRequest) -> Option<String> {
    let is_read = matches!(*request.method(), Method::GET | Method::HEAD) && !is_handshake(request);
    let is_own = request.extensions().get::<Site>() == Some(&Site::Own);
    let link = Cookie::Link.get(request.headers(), cookies::is_secure(request))?;
    (is_read && is_own).then(|| link.to_owned())
}

/// The login of a browser, if the page that sends the request may use it.
pub(super) fn of_cookie(auth: &Authenticator, request: &HttpRequest) -> Option<Identity> {
    let token = Cookie::Session.get(request.headers(), cookies::is_secure(request))?;
    let is_read = matches!(*request.method(), Method::GET | Method::HEAD) && !is_handshake(request);
    let is_of_page = request.headers().contains_key(ORIGIN);
    let is_allowed = match request.extensions().get::<Site>() {
        Some(Site::Own) => is_read || is_of_page,
        Some(Site::Listed) => true,
        Some(Site::Any | Site::Foreign) | None => false,
    };
    if !is_allowed {
        return None;
    }
    auth.find_session(token)
}

fn refuse(request: &HttpRequest, error: &AuthError) -> HttpResponse {
    if *error == AuthError::Missing && is_of_person(request) {
        let next = request.uri().path_and_query().map_or("/", |path| path.as_str());
        let location = format!("/login?next={}", percent_encode(next));
        return HttpResponse::SeeOther()
            .insert_header((LOCATION, location))
            .insert_header((CACHE_CONTROL, "no-store"))
            .finish();
    }
    let mut response = answer(error);
    if response.status() == StatusCode::UNAUTHORIZED {
        // A browser would ask for a password of its own in answer to "Basic".
        let is_browser = request.headers().contains_key("sec-fetch-mode");
        let challenges: &[&str] = if is_browser { &["Bearer"] } else { &["Bearer", "Basic"] };
        for scheme in challenges {
            if let Ok(challenge) = HeaderValue::from_str(&format!("{scheme} realm=\"proscenium\"")) {
                response.headers_mut().append(WWW_AUTHENTICATE, challenge);
            }
        }
    }
    response
}

/// The response to credentials that are missing or wrong.
pub(super) fn answer(error: &AuthError) -> HttpResponse {
    let status = status_of(error);
    let mut response = http_error(status, error.code(), &error.to_string());
    if let AuthError::TooManyFailures { retry_seconds } = error {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(*retry_seconds));
    }
    response
}

/// The status of that response.
pub(super) fn status_of(error: &AuthError) -> StatusCode {
    match error {
        AuthError::Missing | AuthError::Malformed(_) | AuthError::WrongPassword | AuthError::Token(_) => {
            StatusCode::UNAUTHORIZED
        }
        AuthError::TooManyFailures { .. } => StatusCode::TOO_MANY_REQUESTS,
        AuthError::Busy | AuthError::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
    }
}

/// Whether a request is a person's, who opens a page.
fn is_of_person(request: &HttpRequest) -> bool {
    let accept = request.headers().get(ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    *request.method() == Method::GET && accept.contains("text/html") && !request.path().starts_with("/api/")
}
