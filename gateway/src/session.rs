//! One WebSocket connection.
//!
//! Invariant: requests start in order of arrival per table, and a reply never waits for another table's. Bytes in
//! flight to a client are counted and bounded. All modules but [`socket`] are plain state without a socket.

mod close_reason;
mod connect;
mod connection_limit;
mod deflate;
mod flow;
mod force_close;
mod frames;
mod generation;
mod login;
mod notification;
mod pipe;
mod reply;
mod request_scheduler;
mod requests;
mod resume;
mod socket;
mod wire;

pub use close_reason::LOGIN_ENDED;
pub use connect::connect;
pub use connection_limit::ConnectionLimit;
pub use force_close::{IsEncrypted, register_socket};
pub use requests::ServerContext;
pub use resume::ResumableSessions;
