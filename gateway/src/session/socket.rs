//! The WebSocket itself: the only file that names actix-web-actors, so that it can be exchanged.
//!
//! Law: no decision is made here. Frames go to [`Dispatch`], what waits in the [`Outlet`] goes out as far as [`Flow`]
//! has room.

use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::prelude::*;
use actix_http::ws::Item;
use actix_web::{HttpRequest, HttpResponse, web};
use actix_web_actors::ws;
use actix_web_actors::ws::{CloseCode, CloseReason, Message, ProtocolError, WebsocketContext};
use proscenium_actors::fanout::Closed;
use proscenium_actors::{Outgoing, Outlet};

use super::dispatch::{Dispatch, Stalled, Surroundings};
use super::flow::Flow;
use super::frames::{Assembler, Fragment};
use super::news;
use crate::metrics::Metrics;

/// How often the clock is looked at: a fraction of the shortest time that [`Flow`] cares for.
const TICK: Duration = Duration::from_secs(5);

/// Makes a connection of a request for one. Errors when the request is no WebSocket handshake.
pub fn connect(
    request: &HttpRequest,
    payload: web::Payload,
    surroundings: Surroundings,
) -> Result<HttpResponse, actix_web::Error> {
    let max_frame_bytes = surroundings.max_frame_bytes;
    let session = Session {
        metrics: surroundings.metrics.clone(),
        frames: Assembler::new(max_frame_bytes),
        flow: Flow::new(Instant::now()),
        dispatch: Dispatch::new(surroundings),
    };
    ws::WsResponseBuilder::new(session, request, payload).frame_size(max_frame_bytes).start()
}

#[derive(Debug)]
struct Session {
    metrics: Metrics,
    frames: Assembler,
    flow: Flow,
    dispatch: Dispatch,
}

/// Something changed in the outlet, or a request has ended.
#[derive(Debug)]
struct Woken;

/// The server is about to end.
#[derive(Debug)]
struct ServerEnds;

impl Actor for Session {
    type Context = WebsocketContext<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.metrics.sessions.inc();
        self.metrics.sessions_total.inc();
        let outlet = self.dispatch.outlet().clone();
        ctx.add_stream(futures::stream::unfold(outlet, |outlet: Arc<Outlet>| async move {
            outlet.changed().await;
            Some((Woken, outlet))
        }));
        let mut ending = self.dispatch.ending();
        ctx.add_stream(futures::stream::once(async move {
            // A sender that is gone has ended, too.
            let _ = ending.wait_for(|is_ending| *is_ending).await;
            ServerEnds
        }));
        ctx.run_interval(TICK, |session, ctx| session.look_at_clock(ctx));
    }

    fn stopped(&mut self, _ctx: &mut Self::Context) {
        self.metrics.sessions.dec();
        for telling in self.dispatch.finish() {
            actix_rt::spawn(telling);
        }
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
        give_up(ctx, CloseCode::Away, "the server is ending");
    }
}

impl StreamHandler<Result<Message, ProtocolError>> for Session {
    fn handle(&mut self, message: Result<Message, ProtocolError>, ctx: &mut Self::Context) {
        let now = Instant::now();
        self.flow.heard(now);
        let fragment = match message {
            Ok(Message::Binary(frame)) => return self.accept(frame, ctx),
            Ok(Message::Continuation(item)) => match item {
                Item::FirstBinary(bytes) => Fragment::First { text: false, bytes },
                Item::FirstText(bytes) => Fragment::First { text: true, bytes },
                Item::Continue(bytes) => Fragment::Next(bytes),
                Item::Last(bytes) => Fragment::Last(bytes),
            },
            Ok(Message::Ping(payload)) => return ctx.pong(&payload),
            Ok(Message::Pong(payload)) => {
                self.flow.pong(&payload, now);
                return self.write(ctx);
            }
            Ok(Message::Text(_) | Message::Nop) => return,
            Ok(Message::Close(_)) => return give_up(ctx, CloseCode::Normal, ""),
            Err(ProtocolError::Overflow) => {
                return give_up(ctx, CloseCode::Size, "a message is longer than this server allows");
            }
            // The client is gone without a word, as a page is that was left.
            Err(ProtocolError::Io(_)) => return ctx.stop(),
            Err(error) => return give_up(ctx, CloseCode::Protocol, &error.to_string()),
        };
        match self.frames.add(fragment) {
            Ok(Some(frame)) => self.accept(frame, ctx),
            Ok(None) => {}
            Err(error) => give_up(ctx, CloseCode::Size, &error.to_string()),
        }
    }

    fn finished(&mut self, ctx: &mut Self::Context) {
        ctx.stop();
    }
}

impl Session {
    fn accept(&mut self, frame: bytes::Bytes, ctx: &mut WebsocketContext<Self>) {
        self.metrics.requests_total.inc();
        self.metrics.received_bytes_total.inc_by(frame.len() as u64);
        if let Err(error) = self.dispatch.accept(frame) {
            return give_up(ctx, CloseCode::Policy, &error.to_string());
        }
        self.start_requests(ctx);
        self.write(ctx);
    }

    fn start_requests(&mut self, ctx: &mut WebsocketContext<Self>) {
        for Stalled { lanes, room } in self.dispatch.start() {
            ctx.spawn(room.into_actor(self).map(move |(), session, ctx| {
                session.dispatch.resume(&lanes);
                session.start_requests(ctx);
            }));
        }
    }

    /// Writes what waits, as far as there is room.
    fn write(&mut self, ctx: &mut WebsocketContext<Self>) {
        let outlet = self.dispatch.outlet().clone();
        if outlet.closed() == Some(Closed::TooFarBehind) {
            return give_up(
                ctx,
                CloseCode::Policy,
                "the client reads too slowly: too many updates were waiting",
            );
        }
        while self.flow.has_room() {
            let Some(message) = outlet.take() else { break };
            let frame = match message {
                Outgoing::Answer(frame) => frame,
                Outgoing::News(news) => news::encode(news),
            };
            self.metrics.sent_bytes_total.inc_by(frame.len() as u64);
            self.flow.wrote(frame.len());
            ctx.binary(frame);
            if let Some(ping) = self.flow.ping(Instant::now()) {
                ctx.ping(&ping);
            }
        }
        // Answers that have left make room for requests.
        self.start_requests(ctx);
    }

    fn look_at_clock(&mut self, ctx: &mut WebsocketContext<Self>) {
        let now = Instant::now();
        if self.flow.is_lost(now) {
            return give_up(ctx, CloseCode::Away, "the client does not answer");
        }
        if let Some(ping) = self.flow.ping(now) {
            ctx.ping(&ping);
        }
    }
}

/// Ends a connection with a reason the client can show.
fn give_up(ctx: &mut WebsocketContext<Session>, code: CloseCode, reason: &str) {
    let description = (!reason.is_empty()).then(|| reason.to_string());
    if let Some(reason) = &description {
        tracing::warn!(reason, "connection closed");
    }
    ctx.close(Some(CloseReason { code, description }));
    ctx.stop();
}
