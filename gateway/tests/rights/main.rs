//! Rights: what each command of each principal is answered, and what readers with a part of a table see.

#[path = "../websocket/support.rs"]
#[allow(dead_code, reason = "the other tests of sockets use all of it")]
mod client;
mod commands;
mod endpoints;
mod parts;
mod sockets;
mod support;
mod writes;
