//! Messages ⇄ the engine's words, a file per word.
//!
//! Law: pure functions, total over every message that decodes. What a message says wrongly is an
//! [`proscenium_engine::EngineError`] that names the field.

pub mod column_paths;
pub mod data;
pub mod delta;
pub mod describe;
pub mod error;
pub mod features;
pub mod join;
pub mod scalar;
pub mod schema;
pub mod view_config;
pub mod viewport;
