//! Tests of a real server's WebSocket endpoint with plain protocol messages.

mod bounds;
mod deadlines;
mod derived;
mod durable;
mod durable_views;
mod fair;
mod frames;
mod generations;
mod growth;
mod harm;
mod order;
#[path = "../../../proto/tests/sharing/mod.rs"]
mod random_views;
mod raw;
mod resume;
mod rfc6455;
mod rfc7692;
mod sharing;
mod sites;
mod support;
mod unread_replies;
