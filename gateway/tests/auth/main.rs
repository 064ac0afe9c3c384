//! Tests of who may use a real server: passwords, keys, logins, tickets, tokens and certificates, at every endpoint.

mod endpoints;
mod guessing;
mod links;
mod logins;
mod providers;
mod quotas;
mod reloads;
mod sockets;
mod support;
mod tls;
