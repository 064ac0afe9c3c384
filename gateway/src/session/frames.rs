//! Assembles fragmented WebSocket messages.
//!
//! Invariant: only complete messages are returned. A message beyond the limit is an error as soon as its received
//! fragments exceed it.

use bytes::{Bytes, BytesMut};

/// A fragment of a WebSocket message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fragment {
    First(Bytes),
    Next(Bytes),
    Last(Bytes),
}

/// A message exceeds the limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a message exceeds the server's limit of {limit_bytes} bytes")]
pub struct TooLong {
    pub limit_bytes: usize,
}

/// The state of message assembly.
#[derive(Debug)]
pub struct Assembler {
    limit_bytes: usize,
    /// The received part of a fragmented message; set by its first fragment, cleared by its last.
    begun: Option<BytesMut>,
}

impl Assembler {
    pub fn new(limit_bytes: usize) -> Self {
        Assembler { limit_bytes, begun: None }
    }

    /// Adds a fragment and returns the message if it is complete. Continuations without a first fragment are skipped.
    pub fn add(&mut self, fragment: Fragment) -> Result<Option<Bytes>, TooLong> {
        let (bytes, last) = match fragment {
            Fragment::First(bytes) => {
                self.begun = Some(BytesMut::new());
                (bytes, false)
            }
            Fragment::Next(bytes) => (bytes, false),
            Fragment::Last(bytes) => (bytes, true),
        };
        if let Some(begun) = &mut self.begun {
            if begun.len() + bytes.len() > self.limit_bytes {
                self.begun = None;
                return Err(TooLong { limit_bytes: self.limit_bytes });
            }
            begun.extend_from_slice(&bytes);
        }
        if !last {
            return Ok(None);
        }
        Ok(self.begun.take().map(BytesMut::freeze))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(text: &'static str) -> Bytes {
        Bytes::from_static(text.as_bytes())
    }

    #[test]
    fn fragments_become_one_frame() {
        let mut frames = Assembler::new(6);
        assert_eq!(frames.add(Fragment::First(bytes("ab"))), Ok(None));
        assert_eq!(frames.add(Fragment::Next(bytes("cd"))), Ok(None));
        assert_eq!(frames.add(Fragment::Last(bytes("ef"))), Ok(Some(bytes("abcdef"))));
        assert_eq!(frames.add(Fragment::Last(bytes("stray"))), Ok(None));
    }

    #[test]
    fn the_limit_is_for_the_whole_message() {
        let mut frames = Assembler::new(6);
        assert_eq!(frames.add(Fragment::First(bytes("abcd"))), Ok(None));
        assert_eq!(frames.add(Fragment::Next(bytes("efg"))), Err(TooLong { limit_bytes: 6 }));
        assert_eq!(frames.add(Fragment::Last(bytes("h"))), Ok(None));
    }
}
