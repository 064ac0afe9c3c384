//! The messages that were sent and not acknowledged, to be sent again on another connection.
//!
//! Invariant: messages are numbered from 1 in the order in which they were sent; those from the first unacknowledged one
//! on are kept.
//!
//! Cost: messages share the memory in which they were sent.

use std::collections::VecDeque;

use proscenium_actors::Rope;

/// A client acknowledged messages that were not sent to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{received} messages are said to be received, of {sent} that were sent")]
pub struct NeverSent {
    pub received: u64,
    pub sent: u64,
}

/// The messages of one session that may have to be sent again.
#[derive(Debug, Clone, Default)]
pub struct SentWindow {
    /// Messages that were acknowledged.
    acknowledged: u64,
    /// The messages after them, oldest first.
    messages: VecDeque<Rope>,
    num_bytes: u64,
}

impl SentWindow {
    /// Keeps a message that is being sent.
    pub fn push(&mut self, message: Rope) {
        self.num_bytes += message.len() as u64;
        self.messages.push_back(message);
    }

    /// Drops the messages that the client has received.
    ///
    /// # Errors
    ///
    /// The client has received more than was sent. A number that an earlier one exceeded is no error.
    pub fn acknowledge(&mut self, received: u64) -> Result<(), NeverSent> {
        let sent = self.acknowledged + self.messages.len() as u64;
        if received > sent {
            return Err(NeverSent { received, sent });
        }
        while self.acknowledged < received
            && let Some(message) = self.messages.pop_front()
        {
            self.acknowledged += 1;
            self.num_bytes -= message.len() as u64;
        }
        Ok(())
    }

    /// Whether everything after the first `received` messages is kept.
    pub fn reaches_back_to(&self, received: u64) -> bool {
        received >= self.acknowledged
    }

    /// The messages that were not acknowledged, oldest first.
    pub fn unacknowledged(&self) -> VecDeque<Rope> {
        self.messages.clone()
    }

    /// Bytes of the messages that are kept.
    pub fn num_bytes(&self) -> u64 {
        self.num_bytes
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    #[test]
    fn what_is_not_acknowledged_is_kept() {
        let mut window = SentWindow::default();
        let messages: Vec<Rope> = ["a", "bb", "ccc"].map(|text| Bytes::from(text).into()).into();
        messages.iter().for_each(|message| window.push(message.clone()));
        assert_eq!(window.num_bytes(), 6);
        window.acknowledge(2).unwrap();
        window.acknowledge(1).unwrap();
        assert_eq!((window.num_bytes(), window.unacknowledged()), (3, VecDeque::from([messages[2].clone()])));
        assert!(window.reaches_back_to(2) && !window.reaches_back_to(1));
        assert_eq!(window.acknowledge(4), Err(NeverSent { received: 4, sent: 3 }));
        window.acknowledge(3).unwrap();
        assert_eq!((window.num_bytes(), window.unacknowledged().len()), (0, 0));
    }
}
