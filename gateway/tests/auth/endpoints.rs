//! What each endpoint answers to whom.

use arrow_flight::{
    Action, BasicAuth, Criteria, Empty, FlightData, FlightDescriptor, HandshakeRequest, Ticket,
};
use futures::StreamExt;
use proscenium_gateway::{Config, Server};
use prost::Message as _;
use tonic::{Code, Request};

use super::support::*;

const PATHS: [(&str, &str); 12] = [
    ("GET", "/"),
    ("GET", "/index.html"),
    ("GET", "/metrics"),
    ("GET", "/api/v1/status"),
    ("GET", "/api/v1/tables"),
    ("GET", "/api/v1/tables/t"),
    ("HEAD", "/api/v1/tables/t"),
    ("GET", "/api/v1/tables/t/status"),
    ("PUT", "/api/v1/tables/t"),
    ("POST", "/api/v1/tables/t"),
    ("DELETE", "/api/v1/tables/t"),
    ("GET", "/api/v1/session"),
];

#[tokio::test]
async fn every_path_needs_credentials_but_the_login_and_the_health_checks() {
    let Guarded { server, key, .. } = start();
    let made = ask(&server, "PUT", "/api/v1/tables/t?format=csv", &bearer(&key), "x\n1\n").await;
    assert_eq!(made.status, 201, "{made:?}");
    let websocket = ("GET", "/websocket");
    for (method, path) in
        PATHS.into_iter().chain([websocket, ("POST", "/logout"), ("POST", "/api/v1/ticket")])
    {
        for (headers, code) in [
            (String::new(), "not_authenticated"),
            (basic("ann", "wrong"), "wrong_password"),
            (basic("nobody", "right"), "wrong_password"),
            (bearer(&key[..40]), "invalid_token"),
            (bearer("a.b.c"), "invalid_token"),
            (bearer(""), "malformed_credentials"),
            ("Authorization: Digest x\r\n".into(), "malformed_credentials"),
            ("Cookie: proscenium-session=pls_x\r\n".into(), "not_authenticated"),
        ] {
            let answer = ask(&server, method, path, &headers, "x\n9\n").await;
            // Guessing is slowed down; that is another test's matter.
            if answer.status == 429 {
                continue;
            }
            assert_eq!(answer.status, 401, "{method} {path} {headers}: {answer:?}");
            assert!(answer.header("www-authenticate").contains("Bearer"), "{answer:?}");
            if method != "HEAD" {
                assert_eq!(answer.code(), code, "{method} {path} {headers}");
            }
        }
    }
    for (method, path) in PATHS {
        let answer = ask(&server, method, path, &bearer(&key), "x\n9\n").await;
        assert_ne!(answer.status, 401, "{method} {path}: {answer:?}");
    }
    for path in ["/login", "/health/live", "/health/ready"] {
        assert_eq!(ask(&server, "GET", path, "", "").await.status, 200, "{path}");
    }
    let health = ask(&server, "GET", "/health/ready", "", "").await;
    assert_eq!(health.body, "ready\n", "it names nothing");
}

#[tokio::test]
async fn a_person_is_sent_to_the_login_and_a_program_is_told_what_to_send() {
    let Guarded { server, .. } = start();
    let page = ask(&server, "GET", "/?table=a%20b", "Accept: text/html,*/*\r\n", "").await;
    assert_eq!((page.status, page.header("location")), (303, "/login?next=%2F%3Ftable%3Da%2520b"));
    let program = ask(&server, "GET", "/api/v1/tables", "Accept: text/html\r\n", "").await;
    assert_eq!(program.status, 401);
    assert!(program.header("www-authenticate").contains("Basic"));
    let script = ask(&server, "GET", "/api/v1/tables", "Sec-Fetch-Mode: cors\r\n", "").await;
    assert!(!script.header("www-authenticate").contains("Basic"), "no window of the browser opens");
}

#[tokio::test]
async fn names_and_roles_reach_the_session() {
    let Guarded { server, key, .. } = start();
    let session = ask(&server, "GET", "/api/v1/session", &basic("ann", "right"), "").await.json();
    assert_eq!((session["name"].as_str(), session["roles"][0].as_str()), (Some("ann"), Some("desk")));
    let session = ask(&server, "GET", "/api/v1/session", &bearer(&key), "").await.json();
    assert_eq!((session["name"].as_str(), session["can_log_out"].as_bool()), (Some("feed"), Some(false)));
}

#[tokio::test]
async fn without_authentication_everybody_is_anonymous() {
    let server = Server::start(Config { threads: 1, ..Config::on_free_port() }).expect("the server starts");
    let session = ask(&server, "GET", "/api/v1/session", "", "").await;
    assert_eq!((session.status, session.json()["name"].is_null()), (200, true), "{session:?}");
    let login = ask(&server, "GET", "/login", "", "").await;
    assert_eq!((login.status, login.header("location")), (303, "/"), "there is nothing to log in to");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_call_of_flight_needs_credentials() {
    let Guarded { server, key, .. } = start();
    let mut client = flight(&server).await;
    let descriptor = || FlightDescriptor::new_path(vec!["t".into()]);
    let ticket = || Ticket { ticket: "t".into() };
    let put = || futures::stream::iter([FlightData::new().with_descriptor(descriptor())]);
    for (header, is_known) in [
        (None, false),
        (Some("Bearer psk_wrong".to_owned()), false),
        (Some("Basic YW5uOndyb25n".to_owned()), false),
        (Some(format!("Bearer {key}")), true),
    ] {
        macro_rules! with_header {
            ($message:expr) => {{
                let mut request = Request::new($message);
                if let Some(header) = &header {
                    request.metadata_mut().insert("authorization", header.parse().expect("a header"));
                }
                request
            }};
        }
        let action = Action { r#type: "clear".into(), body: "t".into() };
        let codes = [
            client.list_flights(with_header!(Criteria::default())).await.err(),
            client.get_flight_info(with_header!(descriptor())).await.err(),
            client.get_schema(with_header!(descriptor())).await.err(),
            client.poll_flight_info(with_header!(descriptor())).await.err(),
            client.do_get(with_header!(ticket())).await.err(),
            client.do_put(with_header!(put())).await.err(),
            client.do_exchange(with_header!(put())).await.err(),
            client.do_action(with_header!(action)).await.err(),
            client.list_actions(with_header!(Empty {})).await.err(),
        ];
        for (position, status) in codes.into_iter().enumerate() {
            // Guessing is slowed down, too.
            let refusals = [Code::Unauthenticated, Code::ResourceExhausted];
            let is_refused = status
                .as_ref()
                .is_some_and(|status| refusals[..if is_known { 1 } else { 2 }].contains(&status.code()));
            assert_eq!(is_refused, !is_known, "call {position} with {header:?}: {status:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handshake_exchanges_a_password_for_a_token() {
    let Guarded { server, .. } = start();
    let mut client = flight(&server).await;
    let handshake = |name: &str, password: &str| {
        let basic = BasicAuth { username: name.into(), password: password.into() };
        let payload = basic.encode_to_vec().into();
        futures::stream::iter([HandshakeRequest { protocol_version: 0, payload }])
    };
    let refused = client.handshake(handshake("ann", "wrong")).await.unwrap_err();
    assert_eq!(
        (refused.code(), refused.message()),
        (Code::Unauthenticated, "the name or the password is wrong")
    );
    let nothing = futures::stream::iter([] as [HandshakeRequest; 0]);
    assert_eq!(client.handshake(nothing).await.unwrap_err().code(), Code::Unauthenticated);

    let answer = client.handshake(handshake("ann", "right")).await.expect("a login");
    let header = answer.metadata().get("authorization").expect("a header").clone();
    let reply = answer.into_inner().next().await.expect("a reply").expect("a reply");
    assert_eq!(header.as_bytes(), [b"Bearer ", &reply.payload[..]].concat());
    let mut request = Request::new(Criteria::default());
    request.metadata_mut().insert("authorization", header);
    assert!(client.list_flights(request).await.is_ok());
}
