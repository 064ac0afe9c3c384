//! Writes a session's messages to its connection.
//!
//! Invariant: nothing is written beyond what flow control, and the window of a session that can be resumed, have room for.

use std::time::Instant;

use actix::prelude::*;
use bytes::Bytes;
use proscenium_actors::outbox::Closed;
use proscenium_actors::{Outgoing, Rope};

use super::{Phase, Resumption, Session};
use crate::session::close_reason::CloseReason;
use crate::session::notification;
use crate::session::pipe::Kind;
use crate::tuning;

impl Session {
    /// The next message to be written, if there is room for one.
    pub(super) fn next_message(&mut self) -> Option<Rope> {
        if self.unsent.is_some() || !self.flow.has_room() {
            return None;
        }
        if let Some(Resumption { window, replay, .. }) = &mut self.resumption {
            if let Some(message) = replay.pop_front() {
                return Some(message);
            }
            if window.num_bytes() >= self.limits.window_bytes {
                return None;
            }
        }
        let message: Rope = match self.requests.outbox().take()? {
            Outgoing::Reply(frame) => frame,
            Outgoing::Notification(notification) => notification::encode(notification).into(),
        };
        if let Some(Resumption { window, .. }) = &mut self.resumption {
            window.push(message.clone());
        }
        Some(message)
    }

    /// Writes a message of at most one piece.
    pub(super) fn write_short(&mut self, frame: Bytes) {
        let deflated = match &self.deflate {
            Some(agreement) if frame.len() >= self.least_deflate_bytes => agreement.deflate(&frame),
            Some(_) | None => None,
        };
        let (kind, payload) = deflated.map_or((Kind::Binary, frame), |deflated| (Kind::Deflated, deflated));
        self.flow.wrote(payload.len());
        self.pipe.write(kind, payload);
    }

    /// Writes pending messages as far as there is room.
    pub(super) fn write(&mut self, ctx: &mut Context<Self>) {
        if self.phase == Phase::Closing {
            return;
        }
        let outbox = self.requests.outbox().clone();
        match outbox.closed() {
            Some(Closed::TooFarBehind) => return self.end(&CloseReason::TooFarBehind, ctx),
            Some(Closed::NoMemory(refused)) => return self.end(&CloseReason::Memory(refused), ctx),
            Some(Closed::Ended) | None => {}
        }
        while !self.is_paused(ctx)
            && let Some(frame) = self.next_message()
        {
            self.spend(frame.len() as u64);
            self.metrics.sent_bytes_total.inc_by(frame.len() as u64);
            self.stats.sent_bytes += frame.len() as u64;
            if frame.len() > tuning::SOCKET_PIECE_BYTES {
                self.pipe.begin(frame.len());
                self.flow.begin_frame();
                self.unsent = Some(frame);
                self.write_piece(ctx);
                break;
            }
            self.write_short(frame.into_bytes());
            self.ping_if_due();
        }
        // Written replies make room for requests, and written notifications for deferred updates.
        self.start_requests();
        self.requests.flush_deferred();
        let is_written = self.unsent.is_none() && outbox.reply_bytes() == 0;
        if self.phase == Phase::Draining && self.requests.is_idle() && is_written {
            self.end(&CloseReason::Server, ctx);
        }
    }

    /// Writes the next piece of the open frame. A connection that is closing still completes the frame, if its client
    /// reads it in time; the close frame follows.
    pub(super) fn write_piece(&mut self, ctx: &mut Context<Self>) {
        let Some(frame) = self.unsent.as_mut() else { return };
        let piece = frame.take(tuning::SOCKET_PIECE_BYTES).unwrap_or_default();
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

    pub(super) fn ping_if_due(&mut self) {
        if self.pipe.is_open() {
            return;
        }
        if let Some(ping) = self.flow.ping(Instant::now()) {
            self.pipe.write(Kind::Ping, Bytes::copy_from_slice(&ping));
        }
    }
}
