//! Tests with real servers and clients, benchmarks, and the developer's tasks.
//!
//! Invariant: no dependencies, so that `cargo serve` and `cargo verify` start at once on a fresh machine.

pub mod task;
