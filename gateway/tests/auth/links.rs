//! Sealed links: they open what they say, for reading, and nothing else.

use super::sockets::{is_open, open};
use super::support::*;

const ROWS: &str = "id,desk,price\n1,fx,5\n2,rates,6\n3,fx,7\n";

async fn seal(guarded: &Guarded, order: serde_json::Value) -> Answer {
    let headers = format!("{}Content-Type: application/json\r\n", bearer(&guarded.key));
    ask(&guarded.server, "POST", "/api/v1/links", &headers, &order.to_string()).await
}

async fn start_with_table() -> Guarded {
    let guarded = start();
    let put =
        ask(&guarded.server, "PUT", "/api/v1/tables/t?format=csv&index=id", &bearer(&guarded.key), ROWS)
            .await;
    assert_eq!(put.status, 201, "{put:?}");
    ask(&guarded.server, "PUT", "/api/v1/tables/other?format=csv", &bearer(&guarded.key), ROWS).await;
    guarded
}

#[tokio::test]
async fn a_link_opens_its_view_and_its_rows_for_reading() {
    let guarded = start_with_table().await;
    let order = serde_json::json!({
        "table": "t", "view": { "columns": ["price"], "sort": [["price", "desc"]] }, "rows": "\"desk\" == 'fx'",
    });
    let sealed = seal(&guarded, order).await;
    assert_eq!(sealed.status, 201, "{sealed:?}");
    let link = sealed.json();
    let (server, token) = (&guarded.server, link["token"].as_str().expect("a token"));
    let path = format!("{}&format=csv", link["download"].as_str().expect("a path"));
    let download = ask(server, "GET", &path, "", "").await;
    assert_eq!(download.status, 200, "{download:?}");
    assert!(download.body.contains("\"price\"\n7\n5\n\r\n"), "{download:?}");

    let url = link["url"].as_str().expect("an address");
    assert!(url.starts_with("/?link=psl_") && url.contains("#server/t?layout="), "{url}");
    let as_bearer = bearer(token);
    for (method, path, status) in [
        ("GET", "/api/v1/tables/t?format=csv", 200),
        ("GET", "/api/v1/tables/other?format=csv", 403),
        ("POST", "/api/v1/tables/t?format=csv", 403),
        ("PUT", "/api/v1/tables/new?format=csv", 403),
        ("DELETE", "/api/v1/tables/t", 403),
        ("GET", "/metrics", 403),
    ] {
        let answer = ask(server, method, path, &as_bearer, "id\n9\n").await;
        assert_eq!(answer.status, status, "{method} {path}: {answer:?}");
        assert!(!answer.body.contains("rates"), "rows of others: {answer:?}");
    }
    let listed = ask(server, "GET", "/api/v1/tables", &as_bearer, "").await.json();
    let names: Vec<&str> =
        listed.as_array().expect("a list").iter().filter_map(|table| table["name"].as_str()).collect();
    assert_eq!(names, ["t"], "other tables are not even named");
    let more = format!("{as_bearer}Content-Type: application/json\r\n");
    let resealed = ask(server, "POST", "/api/v1/links", &more, r#"{"table":"t"}"#).await;
    assert_eq!(resealed.status, 400, "a link makes no links: {resealed:?}");
    let mut socket = open(server, &format!("?token={token}"), "").await.expect("a socket");
    assert!(is_open(&mut socket).await);
    let changed = path.replacen("psl_", "psl_A", 1);
    assert_eq!(ask(server, "GET", &changed, "", "").await.status, 401);
    assert_eq!(ask(server, "GET", &format!("/api/v1/tables?token={token}"), "", "").await.status, 401);
}

#[tokio::test]
async fn a_link_that_would_show_nothing_is_not_made() {
    let guarded = start_with_table().await;
    for (order, status) in [
        (serde_json::json!({ "table": "none" }), 404),
        (serde_json::json!({ "table": "t", "view": { "columns": ["none"] } }), 400),
        (serde_json::json!({ "table": "t", "rows": "\"none\" == 1" }), 400),
        (serde_json::json!({ "table": "t", "expires_seconds": 0 }), 400),
        (serde_json::json!({ "table": "t", "more": 1 }), 400),
    ] {
        let sealed = seal(&guarded, order.clone()).await;
        assert_eq!(sealed.status, status, "{order}: {sealed:?}");
    }
}
