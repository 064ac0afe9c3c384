//! A session whose connection is lost, until its client comes back.
//!
//! Invariant: requests that were accepted are executed, and their answers wait. Updates are merged by the views. The session
//! ends when its time is over, when more is pending for it than its limits allow, or with the server.

use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use proscenium_actors::Outbox;

use super::{Moved, Resumable, ResumableSessions, TakeOver};
use crate::metrics::Metrics;

/// Holds a session without a connection.
#[derive(Debug)]
pub struct Detached {
    /// `None` once it is taken over.
    session: Option<Resumable>,
    sessions: ResumableSessions,
    metrics: Metrics,
    keep: Duration,
}

/// A request has ended, or the outbox has changed.
#[derive(Debug)]
struct Woken;

/// The server has started to shut down.
#[derive(Debug)]
struct ShutdownStarted;

impl Detached {
    /// Keeps a session for `keep`.
    pub fn keep(session: Resumable, metrics: Metrics, keep: Duration) {
        let outbox = session.requests.outbox();
        outbox.set_detached(true);
        let sessions = session.requests.server().sessions.clone();
        Detached::create(move |ctx| {
            // At once, so that the session has a holder at any time.
            let holder = ctx.address().recipient();
            let longest = sessions.hold(session.token, session.requests.principal(), holder, true);
            if let Some(longest) = longest {
                // Who is given a session and drops it ends it.
                actix_rt::spawn(async move { drop(longest.send(TakeOver).await) });
            }
            Detached { session: Some(session), sessions, metrics, keep }
        });
    }

    fn end(&mut self, reason: &str, ctx: &mut Context<Self>) {
        if let Some(session) = self.session.take() {
            let number = session.requests.outbox().session().0;
            tracing::info!(session = number, reason, "session without connection ended");
            self.sessions.forget(session.token);
        }
        ctx.stop();
    }
}

impl Actor for Detached {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        let Some(session) = &self.session else { return ctx.stop() };
        self.metrics.sessions_detached.inc();
        let (outbox, mut ending) = (session.requests.outbox().clone(), session.requests.ending());
        outbox.wake();
        ctx.add_stream(futures::stream::unfold(
            (outbox, 0),
            |(outbox, mut seen): (Arc<Outbox>, u64)| async move {
                outbox.changed(&mut seen).await;
                Some((Woken, (outbox, seen)))
            },
        ));
        ctx.add_stream(futures::stream::once(async move {
            // A dropped sender means shutdown, too.
            let _ = ending.wait_for(|is_ending| *is_ending).await;
            ShutdownStarted
        }));
        ctx.run_later(self.keep, |detached, ctx| detached.end("its time is over", ctx));
    }

    fn stopped(&mut self, _ctx: &mut Self::Context) {
        self.metrics.sessions_detached.dec();
    }
}

impl StreamHandler<Woken> for Detached {
    fn handle(&mut self, Woken: Woken, ctx: &mut Self::Context) {
        let Some(session) = &mut self.session else { return };
        session.requests.start();
        if session.requests.outbox().closed().is_some() {
            self.end("more was pending than its limits allow", ctx);
        }
    }

    /// Overrides the default, which stops the actor.
    fn finished(&mut self, _ctx: &mut Self::Context) {}
}

impl StreamHandler<ShutdownStarted> for Detached {
    fn handle(&mut self, ShutdownStarted: ShutdownStarted, ctx: &mut Self::Context) {
        self.end("the server is shutting down", ctx);
    }

    fn finished(&mut self, _ctx: &mut Self::Context) {}
}

impl Handler<TakeOver> for Detached {
    type Result = Result<Resumable, Moved>;

    fn handle(&mut self, TakeOver: TakeOver, ctx: &mut Self::Context) -> Self::Result {
        ctx.stop();
        self.session.take().ok_or(Moved)
    }
}
