//! Any text as an expression: an error or a column, never a panic.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| proscenium_fuzz::expression::expression(bytes));
