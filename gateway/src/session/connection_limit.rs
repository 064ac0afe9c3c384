//! Limits the number of connections, and waits for the last one to end.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Counts the connections of a server.
#[derive(Debug)]
pub struct ConnectionLimit {
    limit: usize,
    state: Mutex<ConnectionCount>,
    left: Condvar,
}

#[derive(Debug, Default)]
struct ConnectionCount {
    present: usize,
    is_closed: bool,
}

/// Counts one connection until it is dropped.
#[derive(Debug)]
pub struct ConnectionPermit(Arc<ConnectionLimit>);

impl Drop for ConnectionPermit {
    fn drop(&mut self) {
        self.0.lock().present -= 1;
        self.0.left.notify_all();
    }
}

/// The reason why a connection is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ConnectionRefused {
    #[error("the server has reached its limit of {limit} connections; try again later")]
    Full { limit: usize },
    #[error("the server is shutting down; try again soon")]
    Ending,
}

impl ConnectionRefused {
    /// The stable identifier of the reason, as in `docs/errors.md`.
    pub fn code(self) -> &'static str {
        match self {
            ConnectionRefused::Full { .. } => "limit_reached",
            ConnectionRefused::Ending => "stopping",
        }
    }
}

impl ConnectionLimit {
    pub fn new(limit: usize) -> Arc<ConnectionLimit> {
        Arc::new(ConnectionLimit { limit, state: Mutex::default(), left: Condvar::new() })
    }

    /// Counts a new connection.
    ///
    /// # Errors
    ///
    /// The limit is reached, or the server is shutting down.
    pub fn acquire(self: &Arc<Self>) -> Result<ConnectionPermit, ConnectionRefused> {
        let mut state = self.lock();
        if state.is_closed {
            return Err(ConnectionRefused::Ending);
        }
        if state.present >= self.limit {
            return Err(ConnectionRefused::Full { limit: self.limit });
        }
        state.present += 1;
        Ok(ConnectionPermit(self.clone()))
    }

    /// Refuses further connections and waits until all have ended, at most for `patience`. Returns the number of
    /// connections left.
    pub fn close(&self, patience: Duration) -> usize {
        let until = Instant::now() + patience;
        let mut state = self.lock();
        state.is_closed = true;
        while state.present > 0 {
            let Some(rest) = until.checked_duration_since(Instant::now()) else { break };
            let waited = self.left.wait_timeout(state, rest);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        state.present
    }

    fn lock(&self) -> MutexGuard<'_, ConnectionCount> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_are_limited_until_closed() {
        let connection_limit = ConnectionLimit::new(2);
        let (first, second) = (connection_limit.acquire().unwrap(), connection_limit.acquire().unwrap());
        assert_eq!(connection_limit.acquire().unwrap_err(), ConnectionRefused::Full { limit: 2 });
        drop(first);
        let third = connection_limit.acquire().unwrap();
        assert_eq!(connection_limit.close(Duration::ZERO), 2);
        drop((second, third));
        assert_eq!(connection_limit.acquire().unwrap_err(), ConnectionRefused::Ending);
        assert_eq!(connection_limit.close(Duration::from_secs(60)), 0);
    }
}
