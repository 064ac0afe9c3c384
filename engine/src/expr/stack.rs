//! Stack for trees as deep as the language allows.
//!
//! Law: optimised code reads, computes and drops the deepest tree on a stack of 1 MiB, as browsers give it to WebAssembly
//! (a test holds it). What is not optimised takes some thirty times as much, and gets it on a thread of its own, if the
//! text is long enough to be deep.

/// What the deepest tree takes when nothing is optimised, with room to spare.
const STACK_BYTES: usize = 48 << 20;
/// Shorter texts are not deep: a level takes a letter at least, and a quarter of a kilobyte of levels is little.
const LONG_TEXT_BYTES: usize = 256;

/// Whether a text may be of a deep tree.
pub(super) fn may_be_deep(text: &str) -> bool {
    text.len() > LONG_TEXT_BYTES
}

/// Runs `work`; `is_deep`: on a tree that may be deep.
pub(super) fn with_stack<T: Send>(is_deep: bool, work: impl FnOnce() -> T + Send) -> T {
    let has_enough = !cfg!(debug_assertions) || cfg!(target_family = "wasm");
    if has_enough || !is_deep {
        return work();
    }
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().stack_size(STACK_BYTES).spawn_scoped(scope, work);
        match thread.expect("the system has threads").join() {
            Ok(result) => result,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}
