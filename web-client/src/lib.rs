//! The engine as a Web Worker: the whole protocol on one thread, without actors.
//!
//! Law: decisions without a browser, a browser without decisions. [`local`] is a plain state machine from requests to
//! responses, built and tested natively; `shell` hands it bytes and posts what it answers.
//!
//! The tables and views are the server's own engine crate, so the same question has the same answer in both places.

pub mod local;

#[cfg(target_family = "wasm")]
mod shell;

pub use local::{LocalServer, Outgoing, SessionId};
