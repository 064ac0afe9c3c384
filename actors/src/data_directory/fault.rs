//! For tests: records whose application panics, as a fault of the server would.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

static IS_ANY: AtomicBool = AtomicBool::new(false);
static FAULTY: Mutex<Vec<(String, u64)>> = Mutex::new(Vec::new());

/// From now on, applying the record of this version to a table of this name panics, in this process. Called by tests only.
pub fn make_faulty(table: &str, version: u64) {
    FAULTY.lock().unwrap_or_else(PoisonError::into_inner).push((table.to_owned(), version));
    IS_ANY.store(true, Ordering::Release);
}

/// Whether [`make_faulty`] was called for it. Cost: one load, unless it was called at all.
pub(crate) fn is_faulty(table: &str, version: u64) -> bool {
    IS_ANY.load(Ordering::Acquire)
        && FAULTY
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .iter()
            .any(|(name, faulty)| name == table && *faulty == version)
}
