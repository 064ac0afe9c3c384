//! Memory of Flight messages while they are received.
//!
//! gRPC announces the length of each message, and the decoder takes a buffer of that length at once. So the length is
//! reserved before the decoder sees it; a message without memory ends the call with RESOURCE_EXHAUSTED.
//!
//! Cost: five bytes of each message are looked at.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use proscenium_actors::ActorError;
use proscenium_engine::memory::{MemoryAccount, MemoryKind, MemoryReservation, SMALL_BYTES};
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::http::{Request, Response};
use tonic::codegen::{Body as HttpBody, Service};
use tonic::server::NamedService;

use crate::wire_errors::to_flight;

/// Bytes before each message: whether it is compressed, and its length.
const HEADER_BYTES: usize = 5;

/// A service whose requests reserve the memory of their messages.
#[derive(Debug, Clone)]
pub(super) struct Reserving<S> {
    service: S,
    memory: MemoryAccount,
}

impl<S> Reserving<S> {
    /// Wraps a service, with the account of the server.
    pub(super) fn new(service: S, memory: MemoryAccount) -> Reserving<S> {
        Reserving { service, memory }
    }
}

impl<S: NamedService> NamedService for Reserving<S> {
    const NAME: &'static str = S::NAME;
}

impl<S> Service<Request<Body>> for Reserving<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.service.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> S::Future {
        let memory = self.memory.session().request();
        self.service
            .call(request.map(|body| Body::new(ReservingBody { body, messages: Messages::new(&memory) })))
    }
}

/// The body of a request.
struct ReservingBody {
    body: Body,
    messages: Messages,
}

impl HttpBody for ReservingBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, Status>>> {
        let this = self.get_mut();
        let frame = ready!(Pin::new(&mut this.body).poll_frame(context));
        if let Some(Ok(frame)) = &frame
            && let Some(bytes) = frame.data_ref()
            && let Err(status) = this.messages.receive(bytes)
        {
            return Poll::Ready(Some(Err(status)));
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }
}

/// Where the bytes of a body are among its messages.
#[derive(Debug)]
struct Messages {
    /// The received part of the next message's header.
    header: Vec<u8>,
    /// Bytes of the message that are still to come.
    missing: usize,
    /// That of the message's memory.
    reservation: MemoryReservation,
}

impl Messages {
    fn new(memory: &MemoryAccount) -> Messages {
        let reservation = memory.nothing(MemoryKind::Uploads);
        Messages { header: Vec::with_capacity(HEADER_BYTES), missing: 0, reservation }
    }

    /// Follows received bytes; an error if there is no memory for a message that begins in them.
    fn receive(&mut self, mut bytes: &[u8]) -> Result<(), Status> {
        while !bytes.is_empty() {
            if self.missing > 0 {
                let taken = self.missing.min(bytes.len());
                self.missing -= taken;
                bytes = &bytes[taken..];
                self.reservation.settle(self.reservation.bytes().saturating_sub(self.missing as u64));
                continue;
            }
            let wanted = (HEADER_BYTES - self.header.len()).min(bytes.len());
            self.header.extend_from_slice(&bytes[..wanted]);
            bytes = &bytes[wanted..];
            if let [_, a, b, c, d] = self.header[..] {
                self.header.clear();
                self.begin(u32::from_be_bytes([a, b, c, d]) as usize)?;
            }
        }
        Ok(())
    }

    fn begin(&mut self, num_bytes: usize) -> Result<(), Status> {
        // The one before was decoded.
        self.reservation.shrink_to(0);
        self.missing = num_bytes;
        match num_bytes as u64 {
            0..=SMALL_BYTES => Ok(()),
            num_bytes => self
                .reservation
                .grow(num_bytes)
                .map_err(|refused| to_flight(&ActorError::Engine(refused.into()), "")),
        }
    }
}

#[cfg(test)]
mod tests {
    use proscenium_engine::testing::memory_account;

    use super::*;

    fn message(num_bytes: usize) -> Vec<u8> {
        let mut bytes = vec![0];
        bytes.extend((num_bytes as u32).to_be_bytes());
        bytes.resize(HEADER_BYTES + num_bytes, 7);
        bytes
    }

    #[test]
    fn each_message_is_reserved_before_its_first_byte_and_until_the_next() {
        let server = memory_account(4 << 20);
        let usage = || server.usage().unwrap();
        let bytes = [message(10), message(700_000), message(0), message(100_000)].concat();
        for size in [1, 7, 4096, bytes.len()] {
            let mut messages = Messages::new(&server.session().request());
            let mut peak = 0;
            for piece in bytes.chunks(size) {
                messages.receive(piece).unwrap();
                peak = peak.max(usage().reserved_bytes);
            }
            assert_eq!(usage().reserved_bytes, 100_000, "in pieces of {size}");
            assert_eq!(usage().pending_bytes, 0, "in pieces of {size}");
            assert!(peak == 700_000 || size == bytes.len());
            drop(messages);
            assert_eq!(usage().reserved_bytes, 0);
        }
        let mut messages = Messages::new(&server.session().request());
        let refused = messages.receive(&message(3 << 20)[..HEADER_BYTES]).unwrap_err();
        assert_eq!(refused.code(), tonic::Code::ResourceExhausted);
        assert!(refused.message().starts_with("needs 3.0 MiB for the upload"), "{}", refused.message());
    }
}
