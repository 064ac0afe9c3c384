//! One connection: frames in, frames out.
//!
//! Law: requests are started in arrival order per table; an answer never waits for another table's. Bytes on the way to
//! a slow client are counted and bounded. Everything but [`socket`] is plain state without a socket.

mod close_reason;
mod connection_limit;
mod dispatch;
mod flow;
mod force_close;
mod frames;
mod generation;
mod notification;
mod pipe;
mod request_scheduler;
mod socket;
mod wire;

pub use connection_limit::ConnectionLimit;
pub use dispatch::ServerContext;
pub use force_close::register_socket;
pub use socket::connect;
