//! What one export may take: memory of its request's account, and a number of bytes.
//!
//! Invariant: the memory of a piece is reserved before it is written, and given back when the last reference to its bytes is
//! dropped, which may be long after the export: when a slow client has read it. The first reservation that is refused, or
//! the first byte beyond the limit, stops the export on all threads.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;

use crate::error::{EngineError, RequestError, Result};
use crate::memory::{MemoryAccount, MemoryKind, MemoryReservation};

/// The bounds of one export, and what it has written.
#[derive(Debug)]
pub struct ExportBudget {
    memory: MemoryAccount,
    limit_bytes: usize,
    written: AtomicUsize,
    stopped: OnceLock<EngineError>,
}

impl ExportBudget {
    /// An export of up to this many bytes, whose memory is reserved in this account.
    pub fn new(memory: MemoryAccount, limit_bytes: usize) -> ExportBudget {
        ExportBudget { memory, limit_bytes, written: AtomicUsize::new(0), stopped: OnceLock::new() }
    }

    /// An export without bounds.
    pub fn unlimited() -> ExportBudget {
        ExportBudget::new(MemoryAccount::unlimited(), usize::MAX)
    }

    /// The account.
    pub fn memory(&self) -> &MemoryAccount {
        &self.memory
    }

    /// The bytes that the export may have.
    pub(crate) fn limit_bytes(&self) -> usize {
        self.limit_bytes
    }

    /// Checks that an export of at least this many bytes is within the limit.
    ///
    /// # Errors
    ///
    /// It is not; the text names the limit.
    pub fn check(&self, least_bytes: usize) -> Result<()> {
        match least_bytes <= self.limit_bytes {
            true => Ok(()),
            false => Err(RequestError::ReplyTooLong { limit_bytes: self.limit_bytes }.into()),
        }
    }

    /// Reserves memory for a piece.
    ///
    /// # Errors
    ///
    /// There is none, or the export was stopped.
    pub fn begin(&self, kind: MemoryKind, bytes: usize) -> Result<MemoryReservation> {
        if let Some(error) = self.stopped.get() {
            return Err(error.clone());
        }
        self.memory.reserve(kind, bytes as u64).map_err(|refused| self.stop(refused.into()))
    }

    /// A piece that is written, with the reservation of its memory.
    pub(super) fn piece(&self, mut text: String, mut reservation: MemoryReservation) -> Result<Bytes> {
        if text.capacity() - text.len() > text.len() / 4 {
            text.shrink_to_fit();
        }
        let num_bytes = text.capacity() as u64;
        reservation.shrink_to(num_bytes);
        reservation.grow_to(num_bytes).map_err(|refused| self.stop(refused.into()))?;
        reservation.settle_all();
        self.count(text.len())?;
        Ok(reserved(text, reservation))
    }

    /// Counts bytes of the export.
    ///
    /// # Errors
    ///
    /// They are beyond the limit; the text names it.
    pub fn count(&self, num_bytes: usize) -> Result<()> {
        let written = self.written.fetch_add(num_bytes, Ordering::Relaxed).saturating_add(num_bytes);
        self.check(written).map_err(|error| self.stop(error))
    }

    fn stop(&self, error: EngineError) -> EngineError {
        self.stopped.get_or_init(|| error).clone()
    }
}

/// Bytes that keep a reservation for as long as they live.
pub(super) fn reserved<T: AsRef<[u8]> + Send + 'static>(bytes: T, reservation: impl Send + 'static) -> Bytes {
    struct Reserved<T, R>(T, R);
    impl<T: AsRef<[u8]>, R> AsRef<[u8]> for Reserved<T, R> {
        fn as_ref(&self) -> &[u8] {
            self.0.as_ref()
        }
    }
    Bytes::from_owner(Reserved(bytes, reservation))
}
