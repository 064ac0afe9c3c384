//! A growing buffer whose memory is reserved in an account.
//!
//! Invariant: the memory of every byte is reserved before it is taken, and given back when the last reference to the bytes
//! is dropped, also after [`ReservedBytes::freeze`].
//!
//! Cost: a byte is copied at most once more while the buffer grows, to the end in a buffer of exactly its length.

use bytes::Bytes;
use proscenium_engine::memory::{MemoryAccount, MemoryKind, MemoryRefused, MemoryReservation};

use crate::tuning;

#[derive(Debug)]
pub(crate) struct ReservedBytes {
    bytes: Vec<u8>,
    reservation: MemoryReservation,
}

impl ReservedBytes {
    /// An empty buffer for this purpose.
    pub(crate) fn new(memory: &MemoryAccount, kind: MemoryKind) -> ReservedBytes {
        ReservedBytes { bytes: Vec::new(), reservation: memory.nothing(kind) }
    }

    /// Bytes with what was reserved for them.
    pub(crate) fn of(bytes: Vec<u8>, reservation: MemoryReservation) -> ReservedBytes {
        ReservedBytes { bytes, reservation }
    }

    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    #[cfg(test)]
    pub(crate) fn capacity(&self) -> usize {
        self.bytes.capacity()
    }

    /// Appends bytes; the buffer will not become longer than `whole`.
    ///
    /// # Errors
    ///
    /// There is no memory for them; the buffer is unchanged.
    pub(crate) fn extend(&mut self, bytes: &[u8], whole: usize) -> Result<(), MemoryRefused> {
        let wanted = self.bytes.len() + bytes.len();
        if wanted > self.bytes.capacity() {
            let doubled = wanted.max(2 * self.bytes.len()).max(tuning::FIRST_FRAME_BYTES);
            let capacity = doubled.min(whole).max(wanted);
            self.reservation.grow_to(capacity as u64)?;
            self.bytes.reserve_exact(capacity - self.bytes.len());
        }
        self.bytes.extend_from_slice(bytes);
        self.reservation.settle(wanted as u64);
        Ok(())
    }

    /// The bytes, with their reservation.
    pub(crate) fn freeze(self) -> Bytes {
        match self.reservation.bytes() {
            0 => self.bytes.into(),
            _ => Bytes::from_owner(self),
        }
    }
}

impl AsMut<[u8]> for ReservedBytes {
    fn as_mut(&mut self) -> &mut [u8] {
        &mut self.bytes
    }
}

impl AsRef<[u8]> for ReservedBytes {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}
