//! The protocol's messages and their conversion to and from the engine's types.
//!
//! Invariant: no I/O and no C, so that the server and the browser's worker share this crate. It depends on the engine
//! only.
//!
//! Reading order: the messages ([`generated`] from `protos/perspective.proto`), their encoding ([`frame`],
//! [`response`]), the names of requests ([`request`]), conversions ([`translate`]), the generations of clients
//! ([`client_generation`]); then requests as commands and answers as replies ([`call`]).

#![warn(missing_docs)]

pub mod call;
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
