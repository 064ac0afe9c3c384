//! Any bytes as JSON: an error or a table, never a panic.

#![no_main]

libfuzzer_sys::fuzz_target!(init: proscenium_fuzz::quiet(), |bytes: &[u8]| proscenium_fuzz::ingest::json(bytes));
