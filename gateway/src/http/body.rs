//! Receives the body of a request, up to a size and at a least rate. Its memory is reserved as its bytes arrive, whatever
//! length was announced.

use std::time::Instant;

use actix_web::web;
use bytes::Bytes;
use futures::StreamExt;

use proscenium_engine::memory::{MemoryAccount, MemoryKind, MemoryRefused};

use crate::least_rate::{LeastRate, Transfer};
use crate::reserved_bytes::ReservedBytes;

/// Why a body was not received.
#[derive(Debug, thiserror::Error)]
pub(super) enum BodyError {
    #[error("an upload has at most {0} bytes")]
    TooLarge(usize),
    #[error(
        "the upload was sent too slowly: at least {} bytes a second are expected, and no pause of {} seconds",
        .0.bytes_per_second, .0.grace.as_secs()
    )]
    TooSlow(LeastRate),
    #[error(transparent)]
    Memory(MemoryRefused),
    #[error("the upload was interrupted: {0}")]
    Interrupted(actix_web::error::PayloadError),
}

/// Receives a body of at most `max_bytes`.
///
/// # Errors
///
/// The body is larger or slower than allowed, or the connection broke.
pub(super) async fn receive(
    mut body: web::Payload,
    max_bytes: usize,
    length: Option<usize>,
    rate: LeastRate,
    memory: &MemoryAccount,
) -> Result<Bytes, BodyError> {
    let mut transfer = Transfer::new(rate);
    transfer.begin(Instant::now());
    let mut received = ReservedBytes::new(memory, MemoryKind::Uploads);
    loop {
        let deadline = transfer.deadline().unwrap_or_else(Instant::now);
        let next = tokio::time::timeout_at(deadline.into(), body.next()).await;
        let piece = match next {
            Err(_) => return Err(BodyError::TooSlow(rate)),
            Ok(None) => return Ok(received.freeze()),
            Ok(Some(Err(error))) => return Err(BodyError::Interrupted(error)),
            Ok(Some(Ok(piece))) => piece,
        };
        if received.len() + piece.len() > max_bytes {
            return Err(BodyError::TooLarge(max_bytes));
        }
        transfer.advance(piece.len() as u64, Instant::now());
        received.extend(&piece, length.unwrap_or(max_bytes)).map_err(BodyError::Memory)?;
    }
}
