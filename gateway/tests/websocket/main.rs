//! The WebSocket door of a real server, spoken to in bare messages.

mod bounds;
mod derived;
mod harm;
mod order;
mod support;
