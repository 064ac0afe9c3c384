#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| proscenium_fuzz::ingest::json(bytes));
