//! The checks that the fuzz targets run.
//!
//! Invariant: whatever the bytes, there is no panic, and a table that refuses them is unchanged. The same functions
//! run for a few seconds over a seeded mutator in `engine/tests/hostile.rs` and `proto/tests/hostile.rs`.

pub mod expression;
pub mod ingest;
pub mod request;

/// Silences libFuzzer's panic hook.
///
/// The Arrow reader panics on some invalid data, and the engine catches that (`engine/src/ingest/guard.rs`). With its
/// hook the fuzzer would already stop at the panic; without it, it stops only at uncaught ones.
pub fn quiet() {
    std::panic::set_hook(Box::new(|_| {}));
}
