//! The wire messages and their translation to and from the engine's words.
//!
//! Law: no I/O and no C; the server and the worker in the browser use this crate alike. It knows the engine's words and
//! nobody else's.
//!
//! Reading order: the messages ([`generated`], written from `protos/perspective.proto`), bytes to messages ([`frame`]),
//! what each is called ([`request`]), messages to the engine's words and back ([`translate`]), for which generation of
//! clients ([`client_generation`]).

pub mod client_generation;
pub mod frame;
pub mod generated;
pub mod request;
pub mod response;
pub mod translate;

pub use client_generation::ClientGeneration;
pub use generated::request::ClientReq;
pub use generated::response::ClientResp;
pub use generated::{Request, Response};
