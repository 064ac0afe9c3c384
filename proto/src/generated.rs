//! The messages, as prost writes them from `protos/perspective.proto`; `tests/fresh.rs` keeps them in step.

#![allow(missing_docs, clippy::all)]

include!("generated/perspective.proto.rs");
