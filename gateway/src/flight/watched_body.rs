//! Requests of Flight whose client stalls: within a message, or between two.
//!
//! Invariant: only the time counts in which the server waits for the client, not that in which it works.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::{Buf, Bytes};
use http_body::Frame;
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::{Service, http};
use tonic::server::NamedService;

use crate::config::Limits;
use crate::guarded_stream::Timer;
use crate::least_rate::Transfer;

/// Bytes before each gRPC message: whether it is compressed, and its length.
const PREFIX_BYTES: usize = 5;

/// A service that watches the bodies of its requests.
#[derive(Debug, Clone)]
pub(super) struct WatchBodies<S> {
    pub(super) service: S,
    pub(super) limits: Limits,
}

impl<S: NamedService> NamedService for WatchBodies<S> {
    const NAME: &'static str = S::NAME;
}

impl<S: Service<http::Request<Body>>> Service<http::Request<Body>> for WatchBodies<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.service.poll_ready(context)
    }

    fn call(&mut self, request: http::Request<Body>) -> S::Future {
        let limits = self.limits;
        self.service.call(request.map(|body| Body::new(WatchedBody::new(body, limits))))
    }
}

/// Where a body is within its messages.
#[derive(Debug, Default)]
struct MessageBounds {
    prefix: Vec<u8>,
    /// Bytes of the message whose prefix is complete that are still to come.
    rest: usize,
}

impl MessageBounds {
    fn advance(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let skipped = self.rest.min(bytes.len());
            bytes.advance(skipped);
            self.rest -= skipped;
            let Some((first, others)) = bytes.split_first() else { return };
            self.prefix.push(*first);
            bytes = others;
            if let [_, length @ ..] = &self.prefix[..]
                && self.prefix.len() == PREFIX_BYTES
            {
                self.rest = length.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte));
                self.prefix.clear();
            }
        }
    }

    fn is_within_message(&self) -> bool {
        self.rest > 0 || !self.prefix.is_empty()
    }
}

#[derive(Debug)]
struct WatchedBody {
    body: Body,
    bounds: MessageBounds,
    limits: Limits,
    message: Transfer,
    /// The end of the pause between two messages; set while the body is awaited there.
    pause: Option<Instant>,
    /// When the server turned from the body to its work; set by a frame, cleared by the next poll.
    left_at: Option<Instant>,
    timer: Timer,
}

impl WatchedBody {
    fn new(body: Body, limits: Limits) -> WatchedBody {
        WatchedBody {
            body,
            bounds: MessageBounds::default(),
            limits,
            message: Transfer::new(limits.least_rate()),
            pause: None,
            left_at: None,
            timer: Timer::default(),
        }
    }

    fn deadline(&mut self, now: Instant) -> Option<Instant> {
        if self.bounds.is_within_message() {
            return self.message.deadline();
        }
        Some(*self.pause.get_or_insert(now + self.limits.put_pause()))
    }

    fn overdue(&self) -> Status {
        Status::deadline_exceeded(if self.bounds.is_within_message() {
            let Limits { stall_seconds, least_bytes_per_second, .. } = self.limits;
            format!(
                "a message was sent too slowly: at least {least_bytes_per_second} bytes a second are expected, and no \
                 pause of {stall_seconds} seconds"
            )
        } else {
            let seconds = self.limits.put_pause_seconds;
            format!("no message came for {seconds} seconds (limits.put_pause_seconds)")
        })
    }
}

fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

impl http_body::Body for WatchedBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = self.get_mut();
        if let Some(left_at) = this.left_at.take() {
            this.message.excuse(now().saturating_duration_since(left_at));
        }
        let polled = Pin::new(&mut this.body).poll_frame(context);
        let now = now();
        match &polled {
            Poll::Ready(Some(Ok(frame))) => {
                if let Some(bytes) = frame.data_ref() {
                    this.bounds.advance(bytes);
                    this.message.advance(bytes.len() as u64, now);
                }
                match this.bounds.is_within_message() {
                    true => this.message.begin(now),
                    false => this.message.end(),
                }
                (this.pause, this.left_at) = (None, Some(now));
            }
            Poll::Ready(Some(Err(_)) | None) => {}
            Poll::Pending => {
                let deadline = this.deadline(now);
                if this.timer.has_passed(deadline, context) {
                    return Poll::Ready(Some(Err(this.overdue())));
                }
            }
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> http_body::SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bounds_of_messages_are_found_in_pieces_of_any_size() {
        let message = |len: u8| [&[0, 0, 0, 0, len][..], &vec![7; usize::from(len)]].concat();
        let bytes = [message(3), message(0), message(200)].concat();
        for size in [1, 2, 5, 7, 300] {
            let mut bounds = MessageBounds::default();
            let mut sent = 0;
            for piece in bytes.chunks(size) {
                bounds.advance(piece);
                sent += piece.len();
                let is_between = [8, 13, 218].contains(&sent);
                assert_eq!(bounds.is_within_message(), !is_between, "{sent} bytes in pieces of {size}");
            }
        }
    }
}
