//! What the roles of a sender allow it to use at a time.

use proscenium_gateway::config::{GrantConfig, Right, RoleConfig, RoleLimits};

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

#[tokio::test]
async fn who_has_written_many_rows_waits_and_others_do_not() {
    let grant = GrantConfig {
        tables: vec!["*".into()],
        may: vec![Right::Read, Right::Write, Right::Create],
        rows: None,
        hide: vec![],
        mask: [].into(),
    };
    let limits = RoleLimits { rows_per_second: Some(200), ..RoleLimits::default() };
    let Guarded { server, key } = start_with(|config| {
        let grants = vec![grant];
        let limited = RoleConfig { grants: grants.clone(), limits };
        config.roles.insert("desk".into(), limited);
        config.roles.insert("writer".into(), RoleConfig { grants, ..RoleConfig::default() });
    });
    let (ann, feed) = (basic("ann", "right"), bearer(&key));
    let rows = |count: usize| format!("id\n{}", (0..count).map(|id| format!("{id}\n")).collect::<String>());
    let csv = |sender: &str| format!("Content-Type: text/csv\r\n{sender}");
    let table = "/api/v1/tables/t";
    // Five seconds' worth at once, by the creation and a write.
    for count in [500, 500] {
        let answer = ask(&server, "POST", table, &csv(&ann), &rows(count)).await;
        assert!(answer.status < 300, "{answer:?}");
    }
    let (of_ann, of_feed) = (csv(&ann), csv(&feed));
    let (one, other) = (rows(1), rows(1));
    let limited = ask(&server, "POST", table, &of_ann, &one);
    let free = async {
        for _ in 0..5 {
            let answer = ask(&server, "POST", table, &of_feed, &other).await;
            assert_eq!(answer.status, 200, "{answer:?}");
        }
    };
    // Both begin now; the one that has to wait ends last.
    let order = std::cell::RefCell::new(Vec::new());
    tokio::join!(
        async {
            assert_eq!(limited.await.status, 200);
            order.borrow_mut().push("limited");
        },
        async {
            free.await;
            order.borrow_mut().push("free");
        },
    );
    assert_eq!(*order.borrow(), ["free", "limited"]);
}
