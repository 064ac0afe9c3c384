//! Tests of who may use a real server: passwords, keys, logins, tickets, tokens and certificates, at every endpoint.

mod endpoints;
mod guessing;
mod logins;
mod providers;
mod reloads;
mod sockets;
mod support;
mod tls;
