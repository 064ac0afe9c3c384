//! Provides enough stack for the deepest trees of the language.
//!
//! Invariant: optimised code parses, evaluates and drops the deepest tree on a stack of 1 MiB, the size browsers give
//! to WebAssembly (a test checks it). Unoptimised code takes about thirty times as much, and runs on a thread of its
//! own if the text is long enough to be deep.

use crate::interrupt;

/// Stack size for the deepest tree without optimisation, with a margin.
const STACK_BYTES: usize = 48 << 20;
/// Shorter texts are not deep: each level takes at least a letter.
const LONG_TEXT_BYTES: usize = 256;

/// Returns whether a text may have a deep tree.
pub(super) fn may_be_deep(text: &str) -> bool {
    text.len() > LONG_TEXT_BYTES
}

/// Runs `work`, which handles a tree that may be deep if `is_deep`.
pub(super) fn with_stack<T: Send>(is_deep: bool, work: impl FnOnce() -> T + Send) -> T {
    let has_enough = !cfg!(debug_assertions) || cfg!(target_family = "wasm");
    if has_enough || !is_deep {
        return work();
    }
    let interrupt = interrupt::current();
    let work = || interrupt::within(interrupt, work);
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().stack_size(STACK_BYTES).spawn_scoped(scope, work);
        match thread.expect("the system has threads").join() {
            Ok(result) => result,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}
