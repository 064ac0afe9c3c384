//! Real servers, real clients, benchmarks, and the developer's tasks.
//!
//! Law: no dependencies, so that `cargo serve` and `cargo verify` start at once on a fresh machine.

pub mod task;
