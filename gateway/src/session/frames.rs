//! Assembles fragmented WebSocket messages.
//!
//! Invariant: only complete messages are returned. A message beyond the limit is an error as soon as its received
//! fragments exceed it.

use bytes::Bytes;
use proscenium_engine::memory::{MemoryAccount, MemoryKind, MemoryRefused};

use crate::reserved_bytes::ReservedBytes;

/// A fragment of a WebSocket message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fragment {
    First(Bytes),
    Next(Bytes),
    Last(Bytes),
}

/// Why fragments do not become a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AssemblyError {
    /// The message exceeds the limit.
    #[error("a message exceeds the server's limit of {limit_bytes} bytes")]
    TooLong { limit_bytes: usize },
    /// There is no memory for it.
    #[error(transparent)]
    Memory(#[from] MemoryRefused),
}

/// The state of message assembly.
#[derive(Debug)]
pub struct Assembler {
    limit_bytes: usize,
    memory: MemoryAccount,
    /// The received part of a fragmented message; set by its first fragment, cleared by its last.
    begun: Option<ReservedBytes>,
}

impl Assembler {
    pub fn new(limit_bytes: usize, memory: MemoryAccount) -> Self {
        Assembler { limit_bytes, memory, begun: None }
    }

    /// Adds a fragment and returns the message if it is complete. Continuations without a first fragment are skipped.
    pub fn add(&mut self, fragment: Fragment) -> Result<Option<Bytes>, AssemblyError> {
        let (bytes, last) = match fragment {
            Fragment::First(bytes) => {
                self.begun = Some(ReservedBytes::new(&self.memory.request(), MemoryKind::Frames));
                (bytes, false)
            }
            Fragment::Next(bytes) => (bytes, false),
            Fragment::Last(bytes) => (bytes, true),
        };
        if let Some(begun) = &mut self.begun {
            if begun.len() + bytes.len() > self.limit_bytes {
                self.begun = None;
                return Err(AssemblyError::TooLong { limit_bytes: self.limit_bytes });
            }
            if let Err(refused) = begun.extend(&bytes, self.limit_bytes) {
                self.begun = None;
                return Err(refused.into());
            }
        }
        if !last {
            return Ok(None);
        }
        Ok(self.begun.take().map(ReservedBytes::freeze))
    }
}

#[cfg(test)]
mod tests {
    use proscenium_engine::testing::memory_account;

    use super::*;

    fn bytes(text: &'static str) -> Bytes {
        Bytes::from_static(text.as_bytes())
    }

    #[test]
    fn fragments_become_one_frame() {
        let mut frames = Assembler::new(6, MemoryAccount::unlimited());
        assert_eq!(frames.add(Fragment::First(bytes("ab"))), Ok(None));
        assert_eq!(frames.add(Fragment::Next(bytes("cd"))), Ok(None));
        assert_eq!(frames.add(Fragment::Last(bytes("ef"))), Ok(Some(bytes("abcdef"))));
        assert_eq!(frames.add(Fragment::Last(bytes("stray"))), Ok(None));
    }

    #[test]
    fn a_message_takes_the_memory_of_its_session() {
        let server = memory_account(4 << 20);
        let mut frames = Assembler::new(8 << 20, server.session());
        let part = Bytes::from(vec![0; 700_000]);
        assert_eq!(frames.add(Fragment::First(part.clone())), Ok(None));
        let refused = frames.add(Fragment::Next(part)).unwrap_err();
        assert!(matches!(refused, AssemblyError::Memory(_)), "{refused}");
        assert_eq!(frames.add(Fragment::Last(bytes("h"))), Ok(None));
        assert_eq!(server.usage().map(|usage| usage.reserved_bytes), Some(0));
    }

    #[test]
    fn the_limit_is_for_the_whole_message() {
        let mut frames = Assembler::new(6, MemoryAccount::unlimited());
        assert_eq!(frames.add(Fragment::First(bytes("abcd"))), Ok(None));
        assert_eq!(frames.add(Fragment::Next(bytes("efg"))), Err(AssemblyError::TooLong { limit_bytes: 6 }));
        assert_eq!(frames.add(Fragment::Last(bytes("h"))), Ok(None));
    }
}
