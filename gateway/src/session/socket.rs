//! The actor of a WebSocket connection.
//!
//! Invariant: no decision is made here. Received frames are passed to [`SessionRequests`]; messages of the [`Outbox`] are
//! written to the [`Pipe`] as far as [`Flow`] has room. The session is an actor beside the web server's task that
//! transfers bytes, so it handles frames and timers even while the socket is not writable.

mod control;
mod pace;
mod writing;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use actix::prelude::*;
use actix_web::error::PayloadError;
use actix_web::web;
use bytes::Bytes;
use proscenium_actors::{Outbox, Rope};

use super::close_reason::CloseReason;
use super::deflate::{self, Agreement, InflateError};
use super::flow::Flow;
use super::force_close::SocketHandle;
use super::frames::{Assembler, AssemblyError, Fragment};
use super::pipe::{Kind, Pipe};
use super::requests::{SessionRequests, TooMuch};
use super::resume::{Detached, Moved, Resumable, SentWindow, SessionToken, TakeOver};
use super::wire::{Message, Messages, Received, WireError};
use crate::auth::{Authenticator, Identity};
use crate::config::Limits;
use crate::metrics::Metrics;
use crate::quotas::{SessionPermit, Usage};
use crate::tuning;

/// What a handshake agreed on, and the connection.
#[derive(Debug)]
pub(super) struct Link {
    /// The sender's address.
    pub peer_addr: Option<SocketAddr>,
    /// Who the client is.
    pub identity: Identity,
    /// Counts the connection.
    pub session_permit: SessionPermit,
    /// What is received, also of incomplete messages.
    pub received: Rc<Received>,
    /// Set if messages may be compressed.
    pub deflate: Option<Agreement>,
    pub pipe: Pipe,
    pub socket_handle: SocketHandle,
}

/// What a session that can be resumed has beside its requests.
#[derive(Debug)]
pub(super) struct Resumption {
    pub token: SessionToken,
    /// What was sent and not acknowledged.
    pub window: SentWindow,
    /// Messages that were accepted from the client.
    pub received: u64,
    /// Those of them that were acknowledged.
    pub acknowledged: u64,
    /// Whether the client was notified that its updates are merged.
    pub is_behind: bool,
    /// Messages of an earlier connection that are to be sent again first.
    pub replay: VecDeque<Rope>,
}

impl Resumption {
    /// That of a new session.
    pub fn new(token: SessionToken) -> Resumption {
        let (window, replay) = (SentWindow::default(), VecDeque::new());
        Resumption { token, window, received: 0, acknowledged: 0, is_behind: false, replay }
    }
}

#[derive(Debug)]
pub(super) struct Session {
    metrics: Metrics,
    auth: Authenticator,
    /// Who the client is; replaced by a token that it sends.
    identity: Identity,
    _permit: SessionPermit,
    /// What the client's name uses, of all its connections.
    usage: Option<Arc<Usage>>,
    /// Set while nothing is written since more was sent than the client's roles allow; cleared by a timer.
    paused: bool,
    limits: Limits,
    frames: Assembler,
    received: Rc<Received>,
    /// Set if messages may be compressed.
    deflate: Option<Agreement>,
    least_deflate_bytes: usize,
    max_frame_bytes: usize,
    flow: Flow,
    requests: SessionRequests,
    /// Set if the session can go on with another connection; taken when it is left.
    resumption: Option<Resumption>,
    phase: Phase,
    consecutive_frames: usize,
    /// The rest of the frame that is being written in pieces; set by its first piece, cleared by its last.
    unsent: Option<Rope>,
    /// The client sent a close frame while a frame was open: only the close reply follows that frame.
    ends_after_frame: bool,
    stats: ConnectionStats,
    pipe: Pipe,
    socket_handle: SocketHandle,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Open,
    /// The server shuts down: pending requests are completed, new ones are ignored.
    Draining,
    /// The close frame is written. The client's close reply is awaited, so that it can read all earlier frames.
    Closing,
}

/// The statistics of a connection that are logged when it ends.
#[derive(Debug)]
struct ConnectionStats {
    peer_addr: Option<SocketAddr>,
    since: Instant,
    requests: u64,
    received_bytes: u64,
    sent_bytes: u64,
}

impl ConnectionStats {
    fn open(peer_addr: Option<SocketAddr>) -> Self {
        ConnectionStats { peer_addr, since: Instant::now(), requests: 0, received_bytes: 0, sent_bytes: 0 }
    }
}

/// The outbox has changed, or a request has ended.
#[derive(Debug)]
struct Woken;

/// The server has started to shut down.
#[derive(Debug)]
struct ShutdownStarted;

/// The configuration has changed, or a login was ended.
#[derive(Debug)]
struct LoginsChanged;

impl Actor for Session {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.metrics.sessions.inc();
        self.metrics.sessions_total.inc();
        let outbox = self.requests.outbox().clone();
        ctx.add_stream(futures::stream::unfold(
            (outbox, 0),
            |(outbox, mut seen): (Arc<Outbox>, u64)| async move {
                outbox.changed(&mut seen).await;
                Some((Woken, (outbox, seen)))
            },
        ));
        ctx.add_stream(futures::stream::unfold(self.auth.changes(), |mut changes| async move {
            // The server is gone when the sender is.
            changes.changed().await.ok().map(|()| (LoginsChanged, changes))
        }));
        let mut ending = self.requests.ending();
        ctx.add_stream(futures::stream::once(async move {
            // A dropped sender means shutdown, too.
            let _ = ending.wait_for(|is_ending| *is_ending).await;
            ShutdownStarted
        }));
        ctx.run_interval(self.limits.tick(), |session, ctx| session.on_tick(ctx));
        ctx.spawn(self.pipe.disconnected().into_actor(self).map(|(), _, ctx| ctx.stop()));
        // What was pending in an earlier connection.
        self.requests.outbox().wake();
    }

    fn stopped(&mut self, _ctx: &mut Self::Context) {
        self.metrics.sessions.dec();
        self.leave(&CloseReason::Left);
    }
}

impl StreamHandler<Woken> for Session {
    fn handle(&mut self, Woken: Woken, ctx: &mut Self::Context) {
        self.start_requests();
        self.write(ctx);
    }
}

impl StreamHandler<ShutdownStarted> for Session {
    fn handle(&mut self, ShutdownStarted: ShutdownStarted, ctx: &mut Self::Context) {
        if self.phase != Phase::Open {
            return;
        }
        self.phase = Phase::Draining;
        ctx.run_later(self.limits.drain(), |session, ctx| session.end(&CloseReason::Server, ctx));
        self.write(ctx);
    }

    /// Overrides the default, which stops the actor: the connection is drained first.
    fn finished(&mut self, _ctx: &mut Self::Context) {}
}

impl StreamHandler<LoginsChanged> for Session {
    fn handle(&mut self, LoginsChanged: LoginsChanged, ctx: &mut Self::Context) {
        self.check_login(ctx);
    }

    fn finished(&mut self, _ctx: &mut Self::Context) {}
}

impl StreamHandler<Result<Message, WireError>> for Session {
    fn handle(&mut self, message: Result<Message, WireError>, ctx: &mut Self::Context) {
        let now = Instant::now();
        let fragment = match message {
            Ok(Message::Binary(frame)) => return self.accept(frame, ctx),
            Ok(Message::Deflated(frame)) => return self.inflate(frame, ctx),
            Ok(Message::LastDeflated(last)) => {
                return match self.frames.add(Fragment::Last(last)) {
                    Ok(Some(frame)) => self.inflate(frame, ctx),
                    Ok(None) => {}
                    Err(error) => self.not_assembled(error, ctx),
                };
            }
            Ok(Message::Fragment(fragment)) => fragment,
            Ok(Message::Text { content, is_deflated }) => return self.control(content, is_deflated, ctx),
            Ok(Message::Ping(payload)) => return self.pipe.write(Kind::Pong, payload),
            Ok(Message::Pong(payload)) => {
                self.flow.pong(&payload, now);
                return self.write(ctx);
            }
            Ok(Message::Close(code)) => {
                // The close reply is the last frame, unless this server sent its close frame before.
                self.end(&CloseReason::Client { code }, ctx);
                self.ends_after_frame = self.pipe.is_open();
                if !self.ends_after_frame {
                    self.pipe.end();
                }
                return;
            }
            Err(WireError::Io(_)) => return ctx.stop(),
            Err(error @ WireError::TooLong { .. }) => {
                return self.end(&CloseReason::TooLong(error.to_string()), ctx);
            }
            Err(WireError::Memory(refused)) => return self.end(&CloseReason::Memory(refused), ctx),
            Err(error @ WireError::Protocol(_)) => {
                return self.end(&CloseReason::Protocol(error.to_string()), ctx);
            }
            Err(error @ WireError::Text) => return self.end(&CloseReason::Text(error.to_string()), ctx),
            Err(error @ WireError::CloseReason) => {
                return self.end(&CloseReason::MalformedClose(error.to_string()), ctx);
            }
        };
        match self.frames.add(fragment) {
            Ok(Some(frame)) => self.accept(frame, ctx),
            Ok(None) => {}
            Err(error) => self.not_assembled(error, ctx),
        }
    }

    fn finished(&mut self, ctx: &mut Self::Context) {
        ctx.stop();
    }
}

impl Handler<TakeOver> for Session {
    type Result = Result<Resumable, Moved>;

    /// The client is back on another connection, before this one was noticed to be lost.
    fn handle(&mut self, TakeOver: TakeOver, ctx: &mut Self::Context) -> Self::Result {
        if self.phase == Phase::Closing {
            return Err(Moved);
        }
        let resumption = self.resumption.take().ok_or(Moved)?;
        let session = self.resumable(resumption);
        self.leave(&CloseReason::TakenOver);
        self.socket_handle.force_close();
        ctx.stop();
        Ok(session)
    }
}

impl Session {
    /// Starts the actor of a connection.
    pub(super) fn start<S>(
        link: Link,
        messages: Messages<S>,
        requests: SessionRequests,
        resumption: Option<Resumption>,
    ) where
        S: futures::Stream<Item = Result<Bytes, PayloadError>> + Unpin + 'static,
    {
        let server = requests.server().clone();
        let Link { peer_addr, identity, session_permit, received, deflate, pipe, socket_handle } = link;
        let session = Session {
            frames: Assembler::new(server.max_frame_bytes, requests.outbox().memory().clone()),
            received,
            deflate,
            least_deflate_bytes: server.deflate.least_bytes,
            max_frame_bytes: server.max_frame_bytes,
            flow: Flow::new(Instant::now(), server.limits),
            requests,
            resumption,
            phase: Phase::Open,
            consecutive_frames: 0,
            unsent: None,
            ends_after_frame: false,
            stats: ConnectionStats::open(peer_addr),
            pipe,
            socket_handle,
            metrics: server.metrics,
            auth: server.auth,
            usage: server.quotas.of(&identity.principal),
            identity,
            _permit: session_permit,
            paused: false,
            limits: server.limits,
        };
        Session::create(move |ctx| {
            if let Some(Resumption { token, .. }) = &session.resumption {
                let holder = ctx.address().recipient();
                // Sessions with a connection are limited by their connections.
                let _ = server.sessions.hold(*token, session.requests.principal(), holder, false);
            }
            ctx.add_stream(messages);
            session
        });
    }

    /// The session apart from this connection.
    fn resumable(&mut self, resumption: Resumption) -> Resumable {
        let Resumption { token, window, received, .. } = resumption;
        Resumable { token, requests: self.requests.take(), window, received }
    }

    fn not_assembled(&mut self, error: AssemblyError, ctx: &mut Context<Self>) {
        let reason = match error {
            AssemblyError::Memory(refused) => CloseReason::Memory(refused),
            AssemblyError::TooLong { .. } => CloseReason::TooLong(error.to_string()),
        };
        self.end(&reason, ctx);
    }

    /// Accepts a compressed message. A long one is decompressed by a worker, while nothing else of the connection is
    /// handled.
    fn inflate(&mut self, frame: Bytes, ctx: &mut Context<Self>) {
        let (limit_bytes, memory) = (self.max_frame_bytes, self.requests.outbox().memory().request());
        if self.phase != Phase::Open {
            return;
        }
        if frame.len() <= tuning::INFLATE_INLINE_BYTES {
            return self.inflated(deflate::inflate(&frame, limit_bytes, &memory), ctx);
        }
        let inflating = web::block(move || deflate::inflate(&frame, limit_bytes, &memory));
        ctx.wait(inflating.into_actor(self).map(|inflated, session, ctx| match inflated {
            Ok(inflated) => session.inflated(inflated, ctx),
            // The server is stopping.
            Err(_) => ctx.stop(),
        }));
    }

    fn inflated(&mut self, inflated: Result<Bytes, InflateError>, ctx: &mut Context<Self>) {
        match inflated {
            Ok(frame) => self.accept(frame, ctx),
            Err(error @ InflateError::TooLong { .. }) => {
                self.end(&CloseReason::TooLong(error.to_string()), ctx)
            }
            Err(InflateError::Memory(refused)) => self.end(&CloseReason::Memory(refused), ctx),
            Err(error @ InflateError::Corrupt) => self.end(&CloseReason::Corrupt(error.to_string()), ctx),
        }
    }

    fn accept(&mut self, frame: Bytes, ctx: &mut Context<Self>) {
        if self.phase != Phase::Open {
            return;
        }
        self.metrics.requests_total.inc();
        self.metrics.received_bytes_total.inc_by(frame.len() as u64);
        self.stats.requests += 1;
        self.stats.received_bytes += frame.len() as u64;
        if let Err(TooMuch) = self.requests.accept(frame) {
            return self.end(&CloseReason::TooMuch, ctx);
        }
        if let Some(Resumption { received, acknowledged, .. }) = &mut self.resumption {
            *received += 1;
            if *received - *acknowledged >= tuning::ACKNOWLEDGE_EVERY {
                self.send_state();
            }
        }
        self.start_requests();
        self.write(ctx);
        self.consecutive_frames += 1;
        if self.consecutive_frames >= tuning::MAX_CONSECUTIVE_FRAMES {
            self.consecutive_frames = 0;
            ctx.wait(tokio::task::yield_now().into_actor(self));
        }
    }

    fn start_requests(&mut self) {
        if self.phase == Phase::Closing {
            return;
        }
        self.requests.start();
    }

    fn on_tick(&mut self, ctx: &mut Context<Self>) {
        let now = Instant::now();
        self.flow.note_lag(self.requests.outbox().is_lagging(), now);
        self.flow.received(self.received.num_bytes.get(), self.received.is_within_message.get(), now);
        if self.flow.is_sent_too_slowly(now) {
            return self.end(&CloseReason::HalfSent, ctx);
        }
        if self.flow.is_lost(now) {
            return self.end(&CloseReason::Silent, ctx);
        }
        if self.flow.is_too_slow(now) {
            return self.end(&CloseReason::TooSlow, ctx);
        }
        if self.phase == Phase::Open {
            self.ping_if_due();
            self.check_login(ctx);
        }
        self.send_state();
        self.write(ctx);
    }

    /// Sends the close frame and waits for the client's close reply, at most for `closing_seconds`. From now on
    /// received frames are ignored, and only the rest of an open frame is written.
    fn end(&mut self, reason: &CloseReason, ctx: &mut Context<Self>) {
        if self.phase == Phase::Closing {
            return;
        }
        self.leave(reason);
        if let Some(frame) = reason.frame() {
            self.pipe.close(frame);
        }
        ctx.run_later(self.limits.closing(), |session, _| session.socket_handle.force_close());
    }

    /// Leaves the session, which ends unless it can go on with another connection, and logs the reason.
    fn leave(&mut self, reason: &CloseReason) {
        if self.phase == Phase::Closing {
            return;
        }
        self.phase = Phase::Closing;
        let number = self.requests.outbox().session().0;
        let resumption = self.resumption.take();
        let is_kept = resumption.is_some() && reason.keeps_session() && self.limits.keep_session_seconds > 0;
        match resumption {
            Some(resumption) if is_kept => {
                let session = self.resumable(resumption);
                Detached::keep(session, self.metrics.clone(), self.limits.keep_session());
            }
            Some(Resumption { token, .. }) => {
                self.requests.server().sessions.forget(token);
                self.requests.end();
            }
            None => self.requests.end(),
        }
        self.metrics.sessions_closed_total.with_label_values(&[reason.label()]).inc();
        let ConnectionStats { peer_addr, since, requests, received_bytes, sent_bytes } = &self.stats;
        tracing::info!(
            session = number,
            peer = peer_addr.map(tracing::field::display),
            reason = reason.label(),
            is_kept,
            seconds = since.elapsed().as_secs_f64(),
            requests,
            received_bytes,
            sent_bytes,
            "connection ended"
        );
    }
}
