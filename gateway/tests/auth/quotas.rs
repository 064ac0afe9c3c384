//! What the roles of a sender allow it to use at a time.

use proscenium_gateway::config::{RoleConfig, RoleLimits};

use super::sockets::{is_open, open};
use super::support::*;

#[tokio::test]
async fn the_connections_of_a_sender_are_limited_and_those_of_others_are_not() {
    let limits = RoleLimits { sessions: Some(2), ..RoleLimits::default() };
    let Guarded { server, .. } = start_with(|config| {
        config.roles.insert("desk".into(), RoleConfig { limits, ..RoleConfig::default() });
    });
    let ann = basic("ann", "right");
    let first = open(&server, "", &ann).await.expect("a socket");
    let mut second = open(&server, "", &ann).await.expect("a socket");
    assert_eq!(open(&server, "", &ann).await.err(), Some(429));
    assert!(open(&server, "", &basic("bob", "too")).await.is_ok());
    assert!(is_open(&mut second).await);
    drop(first);
    // The server notices the end of a connection a moment later.
    while open(&server, "", &ann).await.is_err() {
        tokio::task::yield_now().await;
    }
}
