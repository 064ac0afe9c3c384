//! Who is connected: how many there may be, and when the last has left.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Counts connections; one a server.
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

/// A connection's place; given back when it is dropped.
#[derive(Debug)]
pub struct ConnectionPermit(Arc<ConnectionLimit>);

impl Drop for ConnectionPermit {
    fn drop(&mut self) {
        self.0.lock().present -= 1;
        self.0.left.notify_all();
    }
}

/// Why a connection is not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ConnectionRefused {
    #[error("the server has {limit} connections, the most that it takes; try again later")]
    Full { limit: usize },
    #[error("the server is ending; try again soon")]
    Ending,
}

impl ConnectionLimit {
    pub fn new(limit: usize) -> Arc<ConnectionLimit> {
        Arc::new(ConnectionLimit { limit, state: Mutex::default(), left: Condvar::new() })
    }

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

    /// Lets nobody in from now on, and waits until all have left, but not longer than `patience`. Returns how many are
    /// still there.
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
    fn there_are_so_many_seats_until_the_roll_is_closed() {
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
