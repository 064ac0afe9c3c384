//! One connection: frames in, frames out.
//!
//! Law: requests are started in arrival order per table; an answer never waits for another table's. Bytes on the way to
//! a slow client are counted and bounded. Everything but [`socket`] is plain state without a socket.

mod dispatch;
mod ending;
mod flow;
mod frames;
mod generation;
mod lanes;
mod news;
mod pipe;
mod roll;
mod sever;
mod socket;
mod wire;

pub use dispatch::Surroundings;
pub use roll::Roll;
pub use sever::note_connection;
pub use socket::connect;
