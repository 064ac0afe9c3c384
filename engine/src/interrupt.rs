//! Ends long work early, when nobody waits for its result any more.
//!
//! Work that may be ended is run by [`Interrupt::run`]; long passes call [`checkpoint`] between pieces, which unwinds the
//! thread if the interrupt is due. The threads that a pass starts inherit its interrupt ([`crate::parallel`]). Work that
//! is run otherwise is never ended, in the browser for instance, where nothing can be unwound.
//!
//! Invariant: what is run with an interrupt owns everything that it changes, so that nothing half done outlives it.
//!
//! Cost: a checkpoint is one call of the interrupt's test.

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;

/// Whether work is to end early.
#[derive(Clone)]
pub struct Interrupt(Arc<dyn Fn() -> bool + Send + Sync>);

impl std::fmt::Debug for Interrupt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Interrupt({})", self.is_due())
    }
}

/// Work was ended early.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("nobody waits for the result any more")]
pub struct Interrupted;

thread_local! {
    static CURRENT: RefCell<Option<Interrupt>> = const { RefCell::new(None) };
}

impl Interrupt {
    /// Creates an interrupt, which is due when `is_due` returns true. It is called often, by several threads.
    pub fn new(is_due: impl Fn() -> bool + Send + Sync + 'static) -> Interrupt {
        Interrupt(Arc::new(is_due))
    }

    /// Whether the work is to end.
    pub fn is_due(&self) -> bool {
        (self.0)()
    }

    /// Runs work that ends at its next checkpoint once the interrupt is due.
    ///
    /// # Errors
    ///
    /// The work was ended.
    pub fn run<T>(self, work: impl FnOnce() -> T) -> Result<T, Interrupted> {
        match catch_unwind(AssertUnwindSafe(|| within(Some(self), work))) {
            Ok(result) => Ok(result),
            Err(panic) if panic.is::<Interrupted>() => Err(Interrupted),
            Err(panic) => resume_unwind(panic),
        }
    }
}

/// Ends this thread's work if its interrupt is due.
pub(crate) fn checkpoint() {
    if CURRENT.with_borrow(|current| current.as_ref().is_some_and(Interrupt::is_due)) {
        // Not a panic: nothing is printed.
        resume_unwind(Box::new(Interrupted));
    }
}

/// The interrupt of this thread's work.
pub(crate) fn current() -> Option<Interrupt> {
    CURRENT.with_borrow(Clone::clone)
}

/// Runs a part of some work with the work's interrupt.
pub(crate) fn within<T>(interrupt: Option<Interrupt>, work: impl FnOnce() -> T) -> T {
    /// Restores the interrupt of the work around this one, also when it is unwound.
    struct Restore(Option<Interrupt>);
    impl Drop for Restore {
        fn drop(&mut self) {
            CURRENT.set(self.0.take());
        }
    }
    let _restore = Restore(CURRENT.replace(interrupt));
    work()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

    use super::*;
    use crate::parallel::Threads;

    #[test]
    fn work_ends_between_its_pieces_on_all_its_threads() {
        for threads in [1, 3] {
            let (is_due, num_done) = (Arc::new(AtomicBool::new(false)), AtomicUsize::new(0));
            let due = is_due.clone();
            let interrupt = Interrupt::new(move || due.load(Ordering::SeqCst));
            let work = || {
                Threads::new(threads).deal((0..1000).collect(), |number| {
                    num_done.fetch_add(1, Ordering::SeqCst);
                    is_due.fetch_or(number == 10, Ordering::SeqCst)
                })
            };
            assert_eq!(interrupt.run(work), Err(Interrupted));
            // Each thread may have begun one more piece.
            assert!((11..=11 + threads).contains(&num_done.load(Ordering::SeqCst)));
            assert_eq!(Interrupt::new(|| false).run(|| 3), Ok(3));
            checkpoint();
        }
    }

    #[test]
    fn a_panic_is_not_an_interruption() {
        let outcome = catch_unwind(|| Interrupt::new(|| false).run(|| resume_unwind(Box::new("a panic"))));
        assert_eq!(outcome.map(|_: Result<(), _>| ()).unwrap_err().downcast_ref(), Some(&"a panic"));
    }
}
