//! Conversions between the protocol's messages and the engine's types, one file per type.
//!
//! Invariant: pure functions, total over every message that decodes. An invalid field is an
//! [`proscenium_engine::EngineError`] that names it.

pub mod column_paths;
pub mod data;
pub mod delta;
pub mod describe;
pub mod error;
pub mod error_text;
pub mod features;
pub mod join;
pub mod scalar;
pub mod schema;
pub mod view_config;
pub mod viewport;
