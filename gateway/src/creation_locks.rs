//! One creator a name: of several loads that find no table under a name, one creates it and the others add to it.
//!
//! Invariant: a lock lives as long as a load holds or awaits it, so names that nobody creates take no memory.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};

/// The locks of the names under which tables are being created by loads.
#[derive(Debug, Default)]
pub struct CreationLocks(Mutex<HashMap<String, Arc<AsyncMutex<()>>>>);

/// The right to create the table of one name.
#[derive(Debug)]
pub struct CreationLock<'a> {
    locks: &'a CreationLocks,
    name: String,
    /// `None` once it is dropped.
    guard: Option<OwnedMutexGuard<()>>,
}

impl CreationLocks {
    /// Waits until no other load creates a table of this name. Whether there is one is to be looked up afterwards.
    pub async fn lock(&self, name: &str) -> CreationLock<'_> {
        let lock = {
            let mut locks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            locks.entry(name.to_owned()).or_default().clone()
        };
        let guard = lock.lock_owned().await;
        CreationLock { locks: self, name: name.to_owned(), guard: Some(guard) }
    }
}

impl Drop for CreationLock<'_> {
    fn drop(&mut self) {
        let mut locks = self.locks.0.lock().unwrap_or_else(PoisonError::into_inner);
        self.guard = None;
        // The map holds one reference; any other belongs to a load that waits.
        if locks.get(&self.name).is_some_and(|lock| Arc::strong_count(lock) == 1) {
            locks.remove(&self.name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[actix_rt::test]
    async fn one_load_at_a_time_has_a_name_and_nothing_remains() {
        let locks = CreationLocks::default();
        let first = locks.lock("a").await;
        let other = locks.lock("b").await;
        let mut second = Box::pin(locks.lock("a"));
        assert!(futures::poll!(&mut second).is_pending());
        drop(first);
        let second = second.await;
        assert_eq!(locks.0.lock().unwrap().len(), 2);
        drop((second, other));
        assert!(locks.0.lock().unwrap().is_empty());
    }
}
