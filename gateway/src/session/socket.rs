//! The WebSocket itself: the only file that names actix-web-actors, so that it can be exchanged.
//!
//! Law: no decision is made here. Frames go to [`Dispatch`], what waits in the [`Outbox`] goes into the [`Pipe`] as far
//! as [`Flow`] has room. The session is an actor of its own, beside the web server's task that moves bytes: it hears its
//! client and the clock also while the socket takes nothing.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use actix::prelude::*;
use actix_http::ws::Item;
use actix_web::{HttpRequest, HttpResponse, web};
use actix_web_actors::ws;
use actix_web_actors::ws::{Message, ProtocolError};
use bytes::Bytes;
use proscenium_actors::outbox::Closed;
use proscenium_actors::{Outbox, Outgoing, Rope};

use super::close_reason::CloseReason;
use super::dispatch::{Blocked, Dispatch, ServerContext, TooMuch};
use super::flow::Flow;
use super::force_close::SocketHandle;
use super::frames::{Assembler, Fragment};
use super::generation;
use super::notification;
use super::pipe::{Kind, Pipe, pipe};
use super::wire::Messages;
use crate::config::Limits;
use crate::metrics::Metrics;

/// Frames of one connection handled before the others on its thread have a turn: a client that sends without end would
/// never let them have one.
const FRAMES_IN_A_ROW: usize = 16;

/// A longer frame goes out in pieces of this many bytes, the next one when the socket has taken the last: so the buffers
/// on the way to the socket never hold a long frame as a whole, and what is copied there stays in the processor's cache.
/// It remains one WebSocket frame: clients that concatenate continuation frames would copy a long message once a
/// fragment.
const PIECE_BYTES: usize = 128 * 1024;

/// Makes a connection of a request for one. Errors when the request is no WebSocket handshake. One connection too many
/// is answered 503.
pub fn connect(
    request: &HttpRequest,
    payload: web::Payload,
    server: ServerContext,
) -> Result<HttpResponse, actix_web::Error> {
    let permit = match server.connection_limit.acquire() {
        Ok(permit) => permit,
        Err(refusal) => {
            server.metrics.sessions_refused_total.inc();
            let body = serde_json::json!({ "error": refusal.to_string() });
            return Ok(HttpResponse::ServiceUnavailable().insert_header(("Retry-After", "5")).json(body));
        }
    };
    let client =
        generation::of(request, server.default_generation).map_err(actix_web::error::ErrorBadRequest)?;
    let max_frame_bytes = server.max_frame_bytes;
    let mut response = ws::handshake(request)?;
    let (pipe, body) = pipe(permit);
    let session = Session {
        metrics: server.metrics.clone(),
        limits: server.limits,
        frames: Assembler::new(max_frame_bytes),
        flow: Flow::new(Instant::now(), server.limits),
        dispatch: Dispatch::new(server, client),
        phase: Phase::Open,
        frames_in_a_row: 0,
        unsent: None,
        ends_after_frame: false,
        account: Account::open(request.peer_addr()),
        pipe,
        socket_handle: SocketHandle::of(request),
    };
    Session::create(move |ctx| {
        ctx.add_stream(Messages::new(payload, max_frame_bytes));
        session
    });
    Ok(response.streaming(body))
}

#[derive(Debug)]
struct Session {
    metrics: Metrics,
    limits: Limits,
    frames: Assembler,
    flow: Flow,
    dispatch: Dispatch,
    phase: Phase,
    frames_in_a_row: usize,
    /// The rest of the frame that is being written in pieces; set when it is begun, cleared by its last piece.
    unsent: Option<Rope>,
    /// The client has closed while a frame was open: nothing follows the frame but the answer to that.
    ends_after_frame: bool,
    account: Account,
    pipe: Pipe,
    socket_handle: SocketHandle,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Open,
    /// The server ends: what was asked is answered, nothing new is heard.
    Draining,
    /// The close frame is written: its answer is waited for, so that the client can read all that came before it.
    Closing,
}

/// What the log says of a connection when it ends.
#[derive(Debug)]
struct Account {
    peer: Option<SocketAddr>,
    since: Instant,
    requests: u64,
    received_bytes: u64,
    sent_bytes: u64,
}

impl Account {
    fn open(peer: Option<SocketAddr>) -> Self {
        Account { peer, since: Instant::now(), requests: 0, received_bytes: 0, sent_bytes: 0 }
    }
}

/// The outbox has changed, or a request has ended.
#[derive(Debug)]
struct Woken;

/// The server is about to end.
#[derive(Debug)]
struct ServerEnds;

impl Actor for Session {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.metrics.sessions.inc();
        self.metrics.sessions_total.inc();
        let outbox = self.dispatch.outbox().clone();
        ctx.add_stream(futures::stream::unfold(outbox, |outbox: Arc<Outbox>| async move {
            outbox.changed().await;
            Some((Woken, outbox))
        }));
        let mut ending = self.dispatch.ending();
        ctx.add_stream(futures::stream::once(async move {
            // A sender that is gone has ended, too.
            let _ = ending.wait_for(|is_ending| *is_ending).await;
            ServerEnds
        }));
        ctx.run_interval(self.limits.tick(), |session, ctx| session.look_at_clock(ctx));
        ctx.spawn(self.pipe.gone().into_actor(self).map(|(), _, ctx| ctx.stop()));
    }

    fn stopped(&mut self, _ctx: &mut Self::Context) {
        self.metrics.sessions.dec();
        self.leave(&CloseReason::Left);
    }
}

impl StreamHandler<Woken> for Session {
    fn handle(&mut self, Woken: Woken, ctx: &mut Self::Context) {
        self.start_requests(ctx);
        self.write(ctx);
    }
}

impl StreamHandler<ServerEnds> for Session {
    fn handle(&mut self, ServerEnds: ServerEnds, ctx: &mut Self::Context) {
        if self.phase != Phase::Open {
            return;
        }
        self.phase = Phase::Draining;
        ctx.run_later(self.limits.drain(), |session, ctx| session.end(&CloseReason::Server, ctx));
        self.write(ctx);
    }

    /// The news came; the connection goes on until it is drained.
    fn finished(&mut self, _ctx: &mut Self::Context) {}
}

impl StreamHandler<Result<Message, ProtocolError>> for Session {
    fn handle(&mut self, message: Result<Message, ProtocolError>, ctx: &mut Self::Context) {
        let now = Instant::now();
        self.flow.received(now);
        let fragment = match message {
            Ok(Message::Binary(frame)) => return self.accept(frame, ctx),
            Ok(Message::Continuation(item)) => match item {
                Item::FirstBinary(bytes) => Fragment::First { text: false, bytes },
                Item::FirstText(bytes) => Fragment::First { text: true, bytes },
                Item::Continue(bytes) => Fragment::Next(bytes),
                Item::Last(bytes) => Fragment::Last(bytes),
            },
            Ok(Message::Ping(payload)) => return self.pipe.write(Kind::Pong, payload),
            Ok(Message::Pong(payload)) => {
                self.flow.pong(&payload, now);
                return self.write(ctx);
            }
            Ok(Message::Text(_) | Message::Nop) => return,
            Ok(Message::Close(_)) => {
                // The answer to it is the last frame, if it was not this server that began to close.
                self.end(&CloseReason::Client, ctx);
                self.ends_after_frame = self.pipe.is_open();
                if !self.ends_after_frame {
                    self.pipe.end();
                }
                return;
            }
            Err(ProtocolError::Overflow) => {
                let text = "a message is longer than this server allows".to_string();
                return self.end(&CloseReason::TooLong(text), ctx);
            }
            Err(ProtocolError::Io(error)) if error.kind() != ErrorKind::InvalidData => return ctx.stop(),
            Err(error) => return self.end(&CloseReason::Protocol(error.to_string()), ctx),
        };
        match self.frames.add(fragment) {
            Ok(Some(frame)) => self.accept(frame, ctx),
            Ok(None) => {}
            Err(error) => self.end(&CloseReason::TooLong(error.to_string()), ctx),
        }
    }

    fn finished(&mut self, ctx: &mut Self::Context) {
        ctx.stop();
    }
}

impl Session {
    fn accept(&mut self, frame: Bytes, ctx: &mut Context<Self>) {
        if self.phase != Phase::Open {
            return;
        }
        self.metrics.requests_total.inc();
        self.metrics.received_bytes_total.inc_by(frame.len() as u64);
        self.account.requests += 1;
        self.account.received_bytes += frame.len() as u64;
        if let Err(TooMuch) = self.dispatch.accept(frame) {
            return self.end(&CloseReason::TooMuch, ctx);
        }
        self.start_requests(ctx);
        self.write(ctx);
        self.frames_in_a_row += 1;
        if self.frames_in_a_row >= FRAMES_IN_A_ROW {
            self.frames_in_a_row = 0;
            ctx.wait(tokio::task::yield_now().into_actor(self));
        }
    }

    fn start_requests(&mut self, ctx: &mut Context<Self>) {
        if self.phase == Phase::Closing {
            return;
        }
        for Blocked { targets, room } in self.dispatch.start() {
            ctx.spawn(room.into_actor(self).map(move |(), session, ctx| {
                session.dispatch.resume(&targets);
                session.start_requests(ctx);
            }));
        }
    }

    /// Writes what waits, as far as there is room.
    fn write(&mut self, ctx: &mut Context<Self>) {
        if self.phase == Phase::Closing {
            return;
        }
        let outbox = self.dispatch.outbox().clone();
        if outbox.closed() == Some(Closed::TooFarBehind) {
            return self.end(&CloseReason::TooFarBehind, ctx);
        }
        while self.unsent.is_none() && self.flow.has_room() {
            let Some(message) = outbox.take() else { break };
            let frame = match message {
                Outgoing::Reply(frame) => frame,
                Outgoing::Notification(notification) => notification::encode(notification).into(),
            };
            self.metrics.sent_bytes_total.inc_by(frame.len() as u64);
            self.account.sent_bytes += frame.len() as u64;
            if frame.len() > PIECE_BYTES {
                self.pipe.begin(frame.len());
                self.flow.begin_frame();
                self.unsent = Some(frame);
                self.write_piece(ctx);
                break;
            }
            self.flow.wrote(frame.len());
            self.pipe.write(Kind::Binary, frame.into_bytes());
            self.ping_if_due();
        }
        // Answers that have left make room for requests, and news for what was kept back.
        self.start_requests(ctx);
        self.dispatch.flush_deferred();
        let is_written = self.unsent.is_none() && outbox.reply_bytes() == 0;
        if self.phase == Phase::Draining && self.dispatch.is_idle() && is_written {
            self.end(&CloseReason::Server, ctx);
        }
    }

    /// Writes the next piece of the frame that is being written. A connection that ends still completes the frame, as
    /// far as its client reads on in the time that it has: the close frame follows it.
    fn write_piece(&mut self, ctx: &mut Context<Self>) {
        let Some(frame) = self.unsent.as_mut() else { return };
        let piece = frame.take(PIECE_BYTES).unwrap_or_default();
        let is_last = frame.is_empty();
        self.flow.wrote_piece(piece.len(), is_last, Instant::now());
        self.pipe.append(piece);
        if is_last {
            self.unsent = None;
            if self.ends_after_frame {
                return self.pipe.end();
            }
            if self.phase == Phase::Closing {
                return;
            }
            self.ping_if_due();
            return self.write(ctx);
        }
        let emptied = self.pipe.emptied().into_actor(self);
        ctx.spawn(emptied.map(|(), session, ctx| session.write_piece(ctx)));
    }

    fn ping_if_due(&mut self) {
        if self.pipe.is_open() {
            return;
        }
        if let Some(ping) = self.flow.ping(Instant::now()) {
            self.pipe.write(Kind::Ping, Bytes::copy_from_slice(&ping));
        }
    }

    fn look_at_clock(&mut self, ctx: &mut Context<Self>) {
        let now = Instant::now();
        self.flow.note_lag(self.dispatch.outbox().is_lagging(), now);
        if self.flow.is_lost(now) {
            return self.end(&CloseReason::Silent, ctx);
        }
        if self.flow.is_too_slow(now) {
            return self.end(&CloseReason::TooSlow, ctx);
        }
        if self.phase == Phase::Open {
            self.ping_if_due();
        }
        self.write(ctx);
    }

    /// Sends the reason, and waits for the client's answer to it, but not for long. From now on nothing is received, and
    /// nothing written but the rest of an open frame.
    fn end(&mut self, ending: &CloseReason, ctx: &mut Context<Self>) {
        if self.phase == Phase::Closing {
            return;
        }
        self.leave(ending);
        if let Some(reason) = ending.reason() {
            self.pipe.close(reason);
        }
        ctx.run_later(self.limits.closing(), |session, _| session.socket_handle.cut());
    }

    /// The connection's views and subscriptions end, and the log says why.
    fn leave(&mut self, ending: &CloseReason) {
        if self.phase == Phase::Closing {
            return;
        }
        self.phase = Phase::Closing;
        for telling in self.dispatch.finish() {
            actix_rt::spawn(telling);
        }
        self.metrics.sessions_closed_total.with_label_values(&[ending.label()]).inc();
        let Account { peer, since, requests, received_bytes, sent_bytes } = &self.account;
        tracing::info!(
            session = self.dispatch.outbox().session().0,
            peer = peer.map(tracing::field::display),
            why = ending.label(),
            seconds = since.elapsed().as_secs_f64(),
            requests,
            received_bytes,
            sent_bytes,
            "connection ended"
        );
    }
}
