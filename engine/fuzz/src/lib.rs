//! What the fuzz targets do with their bytes.
//!
//! Law: whatever the bytes, there is an answer: no panic, and a table that refused them is as it was. The same functions
//! run for a few seconds over a seeded mutator in `engine/tests/hostile.rs` and `proto/tests/hostile.rs`.

pub mod expression;
pub mod ingest;
pub mod request;
