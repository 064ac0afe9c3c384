//! Requests as browsers send them for pages of other sites: none has an effect, and none reads through a foreign host
//! name.

use proscenium_gateway::sites::SiteConfig;
use proscenium_gateway::{Config, Running, Server};

use super::raw::{RawClient, request};
use super::support::*;

fn start_with(sites: SiteConfig) -> Running {
    let config = Config { threads: 1, sites, ..Config::on_free_port() };
    Server::start(config).expect("the server starts")
}

/// Sends a request with these headers and a table of one row; returns the response's status.
async fn status(server: &Running, line: &str, host: &str, origin: &str) -> u16 {
    let body = "id\n1\n";
    let origin = if origin.is_empty() { String::new() } else { format!("Origin: {origin}\r\n") };
    let text = format!(
        "{line} HTTP/1.1\r\nHost: {host}\r\n{origin}Content-Type: text/csv\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
    let (head, _) = request(server, &text).await;
    head.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a status")
}

#[tokio::test]
async fn a_page_of_another_site_can_neither_open_a_socket_nor_change_anything() {
    let server = start();
    let own = server.addresses().http.to_string();
    Client::connect(&server).await.make_table("t", r#"[{"id":1}]"#, Some("id")).await;
    for origin in ["https://evil.test", "null", "http://127.0.0.1:1"] {
        let refusal = RawClient::connect(&server, &format!("Origin: {origin}\r\n")).await.err();
        assert!(refusal.is_some_and(|head| head.starts_with("HTTP/1.1 403 ")), "{origin}");
        for line in ["PUT /api/v1/tables/t", "POST /api/v1/tables/t", "DELETE /api/v1/tables/t", "POST /"] {
            assert_eq!(status(&server, line, &own, origin).await, 403, "{line} from {origin}");
        }
    }
    assert_eq!(Client::connect(&server).await.size("t").await, 1);
    let own_origin = format!("http://{own}");
    assert!(RawClient::connect(&server, &format!("Origin: {own_origin}\r\n")).await.is_ok());
    assert_eq!(status(&server, "DELETE /api/v1/tables/t", &own, &own_origin).await, 204);
}

#[tokio::test]
async fn a_foreign_name_for_loopback_reads_nothing() {
    let server = start();
    let port = server.addresses().http.port();
    for path in ["/", "/api/v1/tables", "/metrics", "/health/live"] {
        let line = format!("GET {path}");
        assert_eq!(status(&server, &line, &format!("evil.test:{port}"), "").await, 403, "{path}");
    }
    for host in [format!("localhost:{port}"), format!("127.0.0.1:{port}"), "[::1]".into()] {
        assert_eq!(status(&server, "GET /api/v1/tables", &host, "").await, 200, "{host}");
    }
}

#[tokio::test]
async fn listed_sites_and_names_are_served() {
    let server = start_with(SiteConfig {
        origins: vec!["https://desk.example.com".into()],
        hosts: vec!["tables.example.com".into()],
    });
    let headers = "Origin: https://desk.example.com\r\n";
    assert!(RawClient::connect(&server, headers).await.is_ok());
    let host = "tables.example.com";
    assert_eq!(status(&server, "PUT /api/v1/tables/t", host, "https://desk.example.com").await, 201);
    assert_eq!(status(&server, "PUT /api/v1/tables/t", host, "https://tables.example.com").await, 200);
    assert_eq!(status(&server, "PUT /api/v1/tables/t", host, "https://evil.test").await, 403);
    let ask = |origin: &str| {
        format!(
            "GET /api/v1/tables HTTP/1.1\r\nHost: {host}\r\nOrigin: {origin}\r\nConnection: close\r\n\r\n"
        )
    };
    let (listed, _) = request(&server, &ask("https://desk.example.com")).await;
    assert!(
        listed.to_lowercase().contains("access-control-allow-origin: https://desk.example.com\r\n"),
        "{listed}"
    );
    let (foreign, _) = request(&server, &ask("https://evil.test")).await;
    assert!(!foreign.to_lowercase().contains("access-control"), "{foreign}");
    let preflight = format!(
        "OPTIONS /api/v1/tables/t HTTP/1.1\r\nHost: {host}\r\nOrigin: https://desk.example.com\r\n\
         Access-Control-Request-Method: PUT\r\nConnection: close\r\n\r\n"
    );
    let (head, _) = request(&server, &preflight).await;
    assert!(
        head.starts_with("HTTP/1.1 204 ") && head.to_lowercase().contains("access-control-allow-methods"),
        "{head}"
    );
}
