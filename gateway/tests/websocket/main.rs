//! The WebSocket door of a real server, spoken to in bare messages.

mod bounds;
mod derived;
mod frames;
mod harm;
mod order;
mod raw;
mod sites;
mod support;
