//! The WebSocket handshake: which session a connection belongs to. The only file that uses actix-web-actors, so that it
//! can be replaced.

use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::http::header::{SEC_WEBSOCKET_EXTENSIONS, SEC_WEBSOCKET_KEY};
use actix_web::{HttpMessage, HttpRequest, HttpResponse, HttpResponseBuilder, web};
use actix_web_actors::ws;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use proscenium_engine::hosting::Principal;

use super::connection_limit::ConnectionPermit;
use super::deflate;
use super::force_close::SocketHandle;
use super::generation;
use super::login;
use super::pipe::{Kind, pipe};
use super::requests::{ServerContext, SessionRequests};
use super::resume::{self, Resumable, SessionToken, TakeOver, Wish};
use super::socket::{Link, Resumption, Session};
use super::wire::{Messages, Wire};
use crate::auth::Identity;
use crate::guarded_stream::ConnectionActivity;
use crate::quotas::SessionPermit;
use crate::wire_errors::http_error;

/// Attempts to take over a session that is just changing hands.
const TAKE_OVER_ATTEMPTS: usize = 8;

/// Accepts a WebSocket connection. Beyond the connection limit the response is 503.
///
/// # Errors
///
/// The request is not a WebSocket handshake, or names a malformed client version or session.
pub async fn connect(
    request: HttpRequest,
    payload: web::Payload,
    server: ServerContext,
) -> Result<HttpResponse, actix_web::Error> {
    let identity = request.extensions().get::<Identity>().cloned();
    let identity = identity.ok_or_else(|| actix_web::error::ErrorUnauthorized("not authenticated"))?;
    let permit = match server.connection_limit.acquire() {
        Ok(permit) => permit,
        Err(refusal) => {
            server.metrics.sessions_refused_total.inc();
            return Ok(http_error(StatusCode::SERVICE_UNAVAILABLE, refusal.code(), &refusal.to_string()));
        }
    };
    let limit = server.router.rights().policy().limits_of(&identity.principal).sessions;
    let session_permit = match server.quotas.open_session(&identity.principal, limit) {
        Ok(session_permit) => session_permit,
        Err(refusal) => {
            server.metrics.sessions_refused_total.inc();
            return Ok(http_error(StatusCode::TOO_MANY_REQUESTS, "limit_reached", &refusal.to_string()));
        }
    };
    let client =
        generation::of(&request, server.default_generation).map_err(actix_web::error::ErrorBadRequest)?;
    let wish = Wish::of(&request).map_err(actix_web::error::ErrorBadRequest)?;
    check_key(&request)?;
    let response = ws::handshake(&request)?;
    if let Some(activity) = request.conn_data::<Arc<ConnectionActivity>>() {
        activity.upgrade();
    }
    let principal = identity.principal.clone();
    let (requests, resumption) = match wish {
        Wish::Plain => (SessionRequests::new(server.clone(), client, principal), None),
        Wish::New => {
            let token = SessionToken::fresh().map_err(actix_web::error::ErrorInternalServerError)?;
            let requests = SessionRequests::new(server.clone(), client, principal);
            (requests, Some(Resumption::new(token)))
        }
        Wish::Resume { token, received } => match resumed(&server, token, &principal, received).await {
            Ok((requests, resumption)) => (requests, Some(resumption)),
            Err(reason) => return Ok(refuse(response, permit, reason, &server)),
        },
    };
    let mut requests = requests;
    requests.set_principal(identity.principal.clone());
    Ok(open(&request, payload, response, permit, requests, (identity, session_permit, resumption)))
}

/// Takes over a session of this client, of whose messages this many were received.
async fn resumed(
    server: &ServerContext,
    token: SessionToken,
    principal: &Principal,
    received: u64,
) -> Result<(SessionRequests, Resumption), &'static str> {
    const UNKNOWN: &str =
        "the server does not have this session: it has ended, or the server was started again";
    let mut taken = None;
    for _ in 0..TAKE_OVER_ATTEMPTS {
        let holder = server.sessions.find(token, principal).ok_or(UNKNOWN)?;
        // An error: the session got another holder meanwhile.
        if let Ok(Ok(session)) = holder.send(TakeOver).await {
            taken = Some(session);
            break;
        }
        tokio::task::yield_now().await;
    }
    let mut session: Resumable = taken.ok_or(UNKNOWN)?;
    let mut window = std::mem::take(&mut session.window);
    if !window.reaches_back_to(received) {
        server.sessions.forget(token);
        return Err("messages that the client asks for were acknowledged before");
    }
    if window.acknowledge(received).is_err() {
        server.sessions.forget(token);
        return Err("the client has received more messages than were sent");
    }
    server.metrics.sessions_resumed_total.inc();
    let (requests, replay) = (session.requests.take(), window.unacknowledged());
    requests.outbox().set_detached(false);
    let (received, acknowledged) = (session.received, session.received);
    Ok((requests, Resumption { token, window, received, acknowledged, is_behind: false, replay }))
}

/// Answers the handshake and starts the connection's actor.
fn open(
    request: &HttpRequest,
    payload: web::Payload,
    mut response: HttpResponseBuilder,
    permit: ConnectionPermit,
    requests: SessionRequests,
    (identity, session_permit, resumption): (Identity, SessionPermit, Option<Resumption>),
) -> HttpResponse {
    let server = requests.server();
    let (pipe, body) = pipe(permit);
    let offers = request.headers().get_all(SEC_WEBSOCKET_EXTENSIONS).filter_map(|offer| offer.to_str().ok());
    let offers: Vec<&str> = offers.collect();
    let deflate = server.deflate.is_enabled.then(|| deflate::agree(&offers.join(","))).flatten();
    if let Some(agreement) = &deflate {
        response.insert_header((SEC_WEBSOCKET_EXTENSIONS, agreement.header()));
    }
    let mut wire =
        Wire::new(server.max_frame_bytes, requests.outbox().memory().clone()).with_deflate(deflate.is_some());
    if let Some(Resumption { token, received, .. }) = &resumption {
        let limits = server.limits;
        let (epoch, keep) = (server.epoch.as_str(), limits.keep_session_seconds);
        pipe.write(Kind::Text, resume::hello(*token, epoch, keep, limits.window_bytes, *received));
    }
    if resumption.is_some() || server.auth.is_required() {
        wire = wire.with_text(login::max_text_bytes(&server.auth));
    }
    let messages = Messages::new(payload, wire);
    let link = Link {
        peer_addr: request.peer_addr(),
        identity,
        session_permit,
        received: messages.received(),
        deflate,
        pipe,
        socket_handle: SocketHandle::of(request),
    };
    Session::start(link, messages, requests, resumption);
    response.streaming(body)
}

/// Tells a client that its session is gone, in the WebSocket protocol, since a page cannot read the status of a handshake.
fn refuse(
    mut response: HttpResponseBuilder,
    permit: ConnectionPermit,
    reason: &str,
    server: &ServerContext,
) -> HttpResponse {
    let (pipe, body) = pipe(permit);
    pipe.write(Kind::Text, resume::gone(reason, server.epoch.as_str()));
    pipe.close(resume::gone_frame());
    pipe.end();
    response.streaming(body)
}

/// Checks that the key of a handshake is 16 bytes in base64; the crate that answers it does not look into it.
fn check_key(request: &HttpRequest) -> Result<(), actix_web::Error> {
    let key = request.headers().get(SEC_WEBSOCKET_KEY).map(|key| BASE64.decode(key.as_bytes()));
    match key {
        Some(Ok(key)) if key.len() == 16 => Ok(()),
        Some(_) => Err(actix_web::error::ErrorBadRequest("Sec-WebSocket-Key is not 16 bytes in base64")),
        // The handshake itself names the header that is missing.
        None => Ok(()),
    }
}
