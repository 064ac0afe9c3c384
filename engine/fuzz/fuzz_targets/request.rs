//! Any bytes as a request: never a panic.

#![no_main]

libfuzzer_sys::fuzz_target!(init: proscenium_fuzz::quiet(), |bytes: &[u8]| proscenium_fuzz::request::request(bytes));
