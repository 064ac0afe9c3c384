//! The engine as a Web Worker: the whole protocol on one thread, without actors.
//!
//! Invariant: [`local`] is a plain state machine from requests to responses, built and tested natively; `shell` only
//! passes bytes between it and the browser.
//!
//! Tables and views are those of the server's engine crate, so equal requests get equal replies in both places.

pub mod local;

#[cfg(target_family = "wasm")]
mod shell;

pub use local::{LocalServer, Outgoing, SessionId};
