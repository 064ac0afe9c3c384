//! The WebSocket door of a real server, spoken to in bare messages.

mod harm;
mod order;
mod support;
