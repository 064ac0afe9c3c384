//! Those who guess passwords are slowed down.

use super::support::*;

#[tokio::test]
async fn after_some_failures_even_the_right_password_is_refused_for_a_while() {
    let Guarded { server, .. } = start();
    let mut statuses = Vec::new();
    for number in 0..8 {
        statuses.push(post_form(&server, "ann", &format!("guess{number}"), "").await.status);
    }
    assert_eq!(statuses, [401, 401, 401, 401, 401, 429, 429, 429]);
    let refused = post_form(&server, "ann", "right", "").await;
    assert_eq!(refused.status, 429, "{refused:?}");
    assert!(refused.header("retry-after").parse::<u64>().is_ok_and(|seconds| (1..=60).contains(&seconds)));
    assert!(refused.body.contains("Too many logins have failed"), "{refused:?}");
    let by_header = ask(&server, "GET", "/api/v1/session", &basic("ann", "right"), "").await;
    assert_eq!((by_header.status, by_header.code().as_str()), (429, "too_many_failures"));
    // Another name is not refused for it, and the failures are counted.
    assert_eq!(post_form(&server, "bob", "too", "").await.status, 303);
    let metrics = ask(&server, "GET", "/metrics", &basic("bob", "too"), "").await.body;
    let count =
        |line: &str| metrics.lines().find_map(|known| known.strip_prefix(line)?.trim().parse::<u64>().ok());
    assert_eq!(count("proscenium_logins_total{outcome=\"wrong_password\"}"), Some(5), "{metrics}");
    assert_eq!(count("proscenium_logins_total{outcome=\"too_many_failures\"}"), Some(4));
    assert_eq!(count("proscenium_logins_total{outcome=\"ok\"}"), Some(1));
}

#[tokio::test]
async fn guesses_that_are_sent_at_once_count_one_after_the_other() {
    let Guarded { server, .. } = start();
    let guesses = (0..30).map(|number| {
        let server = &server;
        async move { post_form(server, "ann", &format!("guess{number}"), "").await.status }
    });
    let statuses = futures::future::join_all(guesses).await;
    assert_eq!(statuses.iter().filter(|status| **status == 401).count(), 5, "{statuses:?}");
    assert!(statuses.iter().all(|status| [401, 429].contains(status)), "{statuses:?}");
}

#[tokio::test]
async fn who_was_logged_in_here_is_not_locked_out_by_right_passwords_sent_at_once() {
    let Guarded { server, .. } = start();
    let requests = (0..30).map(|_| {
        let server = &server;
        async move { ask(server, "GET", "/api/v1/session", &basic("ann", "right"), "").await.status }
    });
    let statuses = futures::future::join_all(requests).await;
    assert!(statuses.iter().all(|status| *status == 200), "{statuses:?}");
}
