//! WebSockets: who may open one, with what, and when it ends.

use futures::{SinkExt, StreamExt};
use proscenium_gateway::Running;
use proscenium_gateway::session::LOGIN_ENDED;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::http::{HeaderName, HeaderValue};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

use super::support::*;

pub type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// Opens a socket with these headers; the error is the status of the refusal.
pub async fn open(server: &Running, query: &str, headers: &str) -> Result<Socket, u16> {
    let url = format!("ws://{}/websocket{query}", server.addresses().http);
    let mut request = url.into_client_request().expect("a request");
    for (name, value) in headers.lines().filter_map(|line| line.split_once(": ")) {
        let name = HeaderName::try_from(name).expect("a header");
        request.headers_mut().insert(name, HeaderValue::from_str(value).expect("a header"));
    }
    match tokio_tungstenite::connect_async(request).await {
        Ok((socket, _)) => Ok(socket),
        Err(tokio_tungstenite::tungstenite::Error::Http(response)) => Err(response.status().as_u16()),
        Err(error) => panic!("{error}"),
    }
}

/// The code and reason with which the server closes a socket.
pub async fn closed(socket: &mut Socket) -> (u16, String) {
    loop {
        match socket.next().await {
            Some(Ok(Message::Close(Some(frame)))) => return (frame.code.into(), frame.reason.to_string()),
            Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Binary(_))) => {}
            other => panic!("{other:?}"),
        }
    }
}

/// Whether a socket still answers.
pub async fn is_open(socket: &mut Socket) -> bool {
    socket.send(Message::Ping("are you there".into())).await.expect("the connection stands");
    loop {
        match socket.next().await {
            Some(Ok(Message::Pong(_))) => return true,
            Some(Ok(Message::Ping(_) | Message::Binary(_))) => {}
            _ => return false,
        }
    }
}

async fn ticket(server: &Running, headers: &str) -> String {
    let answer = ask(server, "POST", "/api/v1/ticket", headers, "").await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()["ticket"].as_str().expect("a ticket").to_owned()
}

async fn token(server: &Running, name: &str, password: &str) -> String {
    let login = ask(server, "POST", "/api/v1/login", &basic(name, password), "").await;
    login.json()["token"].as_str().expect("a token").to_owned()
}

#[tokio::test]
async fn a_socket_opens_by_header_cookie_or_ticket_and_not_without() {
    let Guarded { server, key, .. } = start();
    let address = server.addresses().http;
    assert_eq!(open(&server, "", "").await.err(), Some(401));
    assert_eq!(open(&server, "?token=plt_x", "").await.err(), Some(401));
    assert_eq!(open(&server, &format!("?token={key}"), "").await.err(), Some(401), "a key is no ticket");
    assert_eq!(open(&server, "", &basic("ann", "wrong")).await.err(), Some(401));
    for headers in [bearer(&key), basic("ann", "right")] {
        assert!(is_open(&mut open(&server, "", &headers).await.expect("a socket")).await);
    }
    let cookie = log_in(&server, "ann", "right").await;
    let own = format!("{cookie}Origin: http://{address}\r\n");
    assert!(is_open(&mut open(&server, "", &own).await.expect("a socket")).await);
    assert_eq!(open(&server, "", &cookie).await.err(), Some(401), "no page sends it without its origin");
    let foreign = format!("{cookie}Origin: https://evil.test\r\n");
    assert_eq!(open(&server, "", &foreign).await.err(), Some(403));
}

#[tokio::test]
async fn a_ticket_opens_one_socket() {
    let Guarded { server, key, .. } = start();
    let ticket = ticket(&server, &bearer(&key)).await;
    let query = format!("?token={ticket}");
    assert!(is_open(&mut open(&server, &query, "").await.expect("a socket")).await);
    assert_eq!(open(&server, &query, "").await.err(), Some(401));
    let other = ask(&server, "GET", &format!("/api/v1/tables?token={ticket}"), "", "").await;
    assert_eq!(other.status, 401, "other requests can send headers");
}

#[tokio::test]
async fn a_logout_closes_the_sockets_of_the_login_and_no_others() {
    let Guarded { server, key, .. } = start();
    let token = token(&server, "ann", "right").await;
    let mut ended = open(&server, "", &bearer(&token)).await.expect("a socket");
    let mut other = open(&server, "", &bearer(&key)).await.expect("a socket");
    assert!(is_open(&mut ended).await);
    ask(&server, "POST", "/logout", &bearer(&token), "").await;
    assert_eq!(closed(&mut ended).await, (LOGIN_ENDED, "the login was ended".into()));
    assert!(is_open(&mut other).await);
}

#[tokio::test]
async fn a_socket_takes_a_new_token_of_the_same_sender() {
    let Guarded { server, key, .. } = start();
    let (first, second) = (token(&server, "ann", "right").await, token(&server, "ann", "right").await);
    let text = |token: &str| Message::text(serde_json::json!({ "token": token }).to_string());
    let mut socket = open(&server, "", &bearer(&first)).await.expect("a socket");
    socket.send(text(&second)).await.expect("the connection stands");
    assert!(is_open(&mut socket).await);
    ask(&server, "POST", "/logout", &bearer(&first), "").await;
    assert!(is_open(&mut socket).await, "it belongs to the second login now");
    for (wrong, code, reason) in [
        (text(&first), LOGIN_ENDED, "the token is of a login that has ended"),
        (text(&key), LOGIN_ENDED, "the token is of another sender or of other rights; connect again"),
        (Message::text("hello"), 1003, "text messages are not supported: send binary ones"),
        (Message::text("x".repeat(100_000)), 1003, "text messages are not supported: send binary ones"),
    ] {
        let mut socket = open(&server, "", &bearer(&second)).await.expect("a socket");
        socket.send(wrong).await.expect("the connection stands");
        assert_eq!(closed(&mut socket).await, (code, reason.into()));
    }
}
