//! Any bytes as JSON: an error or a table, never a panic.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| proscenium_fuzz::ingest::json(bytes));
