//! A server with users and keys, and plain clients of its endpoints.

use std::collections::{BTreeMap, HashMap};

use arrow_flight::flight_service_client::FlightServiceClient;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use proscenium_gateway::auth::{keys, passwords};
use proscenium_gateway::config::auth::{KeyConfig, UserConfig};
use proscenium_gateway::config::{AuthConfig, Secret};
use proscenium_gateway::{Config, Running, Server};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tonic::transport::{Channel, Endpoint};

pub fn user(name: &str, password: &str, roles: &[&str]) -> UserConfig {
    UserConfig {
        name: name.into(),
        password: Secret::new(passwords::hash_lightly(password)),
        roles: roles.iter().map(|role| (*role).to_owned()).collect(),
        claims: BTreeMap::new(),
    }
}

/// A key, and its entry.
pub fn key(name: &str, roles: &[&str]) -> (String, KeyConfig) {
    let (key, hash) = keys::new_key();
    let roles = roles.iter().map(|role| (*role).to_owned()).collect();
    (key, KeyConfig { name: name.into(), hash: Secret::new(hash), roles, claims: BTreeMap::new() })
}

/// A server that knows ann, whose password is "right", and a key.
pub struct Guarded {
    pub server: Running,
    pub key: String,
}

pub fn start() -> Guarded {
    start_with(|_| {})
}

pub fn start_with(change: impl FnOnce(&mut Config)) -> Guarded {
    let (key, entry) = key("feed", &["writer"]);
    let auth = AuthConfig {
        users: vec![user("ann", "right", &["desk"]), user("bob", "too", &[])],
        keys: vec![entry],
        ..AuthConfig::default()
    };
    let mut config = Config { threads: 2, auth: Some(auth), ..Config::on_free_port() };
    change(&mut config);
    let server = Server::start(config).expect("the server starts");
    Guarded { server, key }
}

pub fn basic(name: &str, password: &str) -> String {
    format!("Authorization: Basic {}\r\n", STANDARD.encode(format!("{name}:{password}")))
}

pub fn bearer(token: &str) -> String {
    format!("Authorization: Bearer {token}\r\n")
}

#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: HashMap<String, String>,
    pub body: String,
}

impl Answer {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    pub fn code(&self) -> String {
        self.json()["code"].as_str().unwrap_or_default().to_owned()
    }

    /// The cookie that the answer sets, as it is sent back.
    pub fn cookie(&self) -> String {
        let cookie = self.header("set-cookie").split(';').next().unwrap_or_default();
        format!("Cookie: {cookie}\r\n")
    }
}

/// Sends a request to the server's own name.
pub async fn ask(server: &Running, method: &str, path: &str, headers: &str, body: &str) -> Answer {
    let stream = TcpStream::connect(server.addresses().http).await.expect("a connection");
    exchange(stream, method, path, headers, body).await
}

/// Sends a request over a byte stream.
pub async fn exchange<S>(mut stream: S, method: &str, path: &str, headers: &str, body: &str) -> Answer
where
    S: AsyncReadExt + AsyncWriteExt + Unpin,
{
    let host = if headers.contains("Host:") { "" } else { "Host: localhost\r\n" };
    let length = format!("Content-Length: {}\r\n", body.len());
    let head = format!("{method} {path} HTTP/1.1\r\n{host}Connection: close\r\n{length}{headers}\r\n");
    stream.write_all(head.as_bytes()).await.expect("the server reads");
    stream.write_all(body.as_bytes()).await.expect("the server reads");
    stream.flush().await.expect("the server reads");
    let mut bytes = Vec::new();
    // A server that ends a connection over TLS without a goodbye has still answered.
    let _ = stream.read_to_end(&mut bytes).await;
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {text:?}"));
    let mut lines = head.lines();
    let status = lines.next().and_then(|line| line.split(' ').nth(1)).expect("a status");
    let mut headers: HashMap<String, String> = HashMap::new();
    for (name, value) in lines.filter_map(|line| line.split_once(": ")) {
        let values = headers.entry(name.to_ascii_lowercase()).or_default();
        *values = if values.is_empty() { value.to_owned() } else { format!("{values}, {value}") };
    }
    Answer { status: status.parse().expect("a number"), headers, body: body.to_owned() }
}

/// Logs in by the form and returns the cookie's header.
pub async fn log_in(server: &Running, name: &str, password: &str) -> String {
    let answer = post_form(server, name, password, "").await;
    assert_eq!(answer.status, 303, "{answer:?}");
    answer.cookie()
}

pub async fn post_form(server: &Running, name: &str, password: &str, headers: &str) -> Answer {
    let headers = format!("Content-Type: application/x-www-form-urlencoded\r\n{headers}");
    let form = format!("name={name}&password={password}&next=%2F%3Ftable%3Dt");
    ask(server, "POST", "/login", &headers, &form).await
}

pub async fn flight(server: &Running) -> FlightServiceClient<Channel> {
    let address = server.addresses().flight.expect("a listener");
    let endpoint = Endpoint::from_shared(format!("http://{address}")).expect("a URI");
    FlightServiceClient::new(endpoint.connect().await.expect("a connection"))
}
