//! TLS of the listeners: HTTP, WebSocket and Flight, with certificates that change.

use std::path::PathBuf;
use std::sync::Arc;

use arrow_flight::Criteria;
use arrow_flight::flight_service_client::FlightServiceClient;
use futures::{SinkExt, StreamExt};
use proscenium_gateway::config::{Limits, TlsConfig};
use proscenium_gateway::{Config, Running};
use rcgen::{CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyPair};
use rustls::pki_types::ServerName;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::tungstenite::Message;
use tonic::Request;

use super::reloads::Folder;
use super::support::*;

/// An authority, and the certificates that it signs.
struct Authority {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Authority {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, "an authority of a test");
        let key = KeyPair::generate().expect("a key");
        let pem = params.self_signed(&key).expect("a certificate").pem();
        Authority { pem, issuer: Issuer::new(params, key) }
    }

    /// A certificate and its key.
    fn sign(&self, name: &str) -> (String, String) {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(vec!["localhost".into(), "127.0.0.1".into()]).expect("names");
        params.distinguished_name.push(DnType::CommonName, name);
        (params.signed_by(&key, &self.issuer).expect("a certificate").pem(), key.serialize_pem())
    }
}

fn write(folder: &Folder, (certificate, key): (String, String)) -> (PathBuf, PathBuf) {
    (folder.write("cert.pem", &certificate), folder.write("key.pem", &key))
}

fn start_tls(folder: &Folder, authority: &Authority, change: impl FnOnce(&mut Config)) -> Guarded {
    let (certificate, key) = write(folder, authority.sign("first"));
    start_with(|config| {
        config.tls = Some(TlsConfig { certificate, key, client_ca: None });
        change(config);
    })
}

fn client_config(authority: &Authority, certificate: Option<(String, String)>) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(authority.pem.as_bytes()).expect("PEM")).expect("a root");
    let builder = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots);
    match certificate {
        None => builder.with_no_client_auth(),
        Some((certificate, key)) => builder
            .with_client_auth_cert(
                vec![CertificateDer::from_pem_slice(certificate.as_bytes()).expect("PEM")],
                PrivateKeyDer::from_pem_slice(key.as_bytes()).expect("PEM"),
            )
            .expect("a pair"),
    }
}

async fn connect(server: &Running, config: ClientConfig) -> std::io::Result<TlsStream<TcpStream>> {
    let stream = TcpStream::connect(server.addresses().http).await?;
    let name = ServerName::try_from("localhost").expect("a name");
    TlsConnector::from(Arc::new(config)).connect(name, stream).await
}

fn subject(stream: &TlsStream<TcpStream>) -> Vec<u8> {
    stream.get_ref().1.peer_certificates().expect("a certificate")[0].to_vec()
}

#[tokio::test]
async fn http_is_served_over_tls_alone_and_cookies_are_secure() {
    let (folder, authority) = (Folder::new(), Authority::new());
    let Guarded { server, .. } = start_tls(&folder, &authority, |_| {});
    let stream = connect(&server, client_config(&authority, None)).await.expect("a handshake");
    let headers = "Content-Type: application/x-www-form-urlencoded\r\n";
    let answer = exchange(stream, "POST", "/login", headers, "name=ann&password=right").await;
    assert_eq!(answer.status, 303, "{answer:?}");
    let cookie = answer.header("set-cookie");
    assert!(cookie.starts_with("__Host-proscenium-session=") && cookie.contains("; Secure"), "{cookie}");
    assert!(answer.header("strict-transport-security").starts_with("max-age="), "{answer:?}");
    let stream = connect(&server, client_config(&authority, None)).await.expect("a handshake");
    let planted = answer.cookie().replace("__Host-", "");
    assert_eq!(exchange(stream, "GET", "/api/v1/session", &planted, "").await.status, 401);

    let mut plain = TcpStream::connect(server.addresses().http).await.expect("a connection");
    tokio::io::AsyncWriteExt::write_all(&mut plain, b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .await
        .unwrap();
    let mut answered = Vec::new();
    let _ = plain.read_to_end(&mut answered).await;
    assert!(!answered.starts_with(b"HTTP"), "{answered:?}");
    let strangers = Authority::new();
    assert!(connect(&server, client_config(&strangers, None)).await.is_err());
}

#[tokio::test]
async fn a_new_certificate_is_used_without_a_restart_and_open_connections_go_on() {
    let (folder, authority) = (Folder::new(), Authority::new());
    let Guarded { server, key, .. } = start_tls(&folder, &authority, |_| {});
    let stream = connect(&server, client_config(&authority, None)).await.expect("a handshake");
    let first = subject(&stream);
    let request = tokio_tungstenite::tungstenite::http::Request::builder()
        .uri("ws://localhost/websocket")
        .header("host", "localhost")
        .header("connection", "Upgrade")
        .header("upgrade", "websocket")
        .header("sec-websocket-version", "13")
        .header("sec-websocket-key", "AAAAAAAAAAAAAAAAAAAAAA==")
        .header("authorization", format!("Bearer {key}"))
        .body(())
        .expect("a request");
    let (mut socket, _) = tokio_tungstenite::client_async(request, stream).await.expect("a socket");

    // A key that does not fit changes nothing.
    folder.write("key.pem", &KeyPair::generate().expect("a key").serialize_pem());
    let error = server.reload().expect_err("another key").to_string();
    assert!(error.contains("tls.key: does not fit the certificate"), "{error}");
    let stream = connect(&server, client_config(&authority, None)).await.expect("a handshake");
    assert_eq!(subject(&stream), first);

    write(&folder, authority.sign("second"));
    server.reload().expect("a certificate");
    let stream = connect(&server, client_config(&authority, None)).await.expect("a handshake");
    assert_ne!(subject(&stream), first);
    socket.send(Message::Ping("still there".into())).await.expect("the connection stands");
    assert!(matches!(socket.next().await, Some(Ok(Message::Pong(_)))));
}

#[tokio::test(flavor = "multi_thread")]
async fn flight_is_served_over_tls() {
    let (folder, authority) = (Folder::new(), Authority::new());
    let Guarded { server, key, .. } = start_tls(&folder, &authority, |_| {});
    let address = server.addresses().flight.expect("a listener");
    let ca = tonic::transport::Certificate::from_pem(&authority.pem);
    let tls = tonic::transport::ClientTlsConfig::new().ca_certificate(ca).domain_name("localhost");
    let endpoint = tonic::transport::Endpoint::from_shared(format!("https://{address}")).expect("a URI");
    let channel = endpoint.tls_config(tls).expect("TLS").connect().await.expect("a connection");
    let mut client = FlightServiceClient::new(channel);
    let mut request = Request::new(Criteria::default());
    request.metadata_mut().insert("authorization", format!("Bearer {key}").parse().expect("a header"));
    assert!(client.list_flights(request).await.is_ok());
    let plain = tonic::transport::Endpoint::from_shared(format!("http://{address}")).expect("a URI");
    let refused = match plain.connect().await {
        Err(_) => true,
        Ok(channel) => FlightServiceClient::new(channel).list_flights(Criteria::default()).await.is_err(),
    };
    assert!(refused, "no call without TLS");
}

#[tokio::test]
async fn with_mutual_tls_clients_need_a_certificate_of_the_authority() {
    let (folder, authority, clients) = (Folder::new(), Authority::new(), Authority::new());
    let client_ca = folder.write("clients.pem", &clients.pem);
    let Guarded { server, .. } = start_tls(&folder, &authority, |config| {
        config.tls.as_mut().expect("TLS").client_ca = Some(client_ca)
    });
    for (certificate, is_served) in
        [(None, false), (Some(authority.sign("stranger")), false), (Some(clients.sign("client")), true)]
    {
        let stream = connect(&server, client_config(&authority, certificate)).await;
        // In TLS 1.3 a client learns of its refusal when it reads.
        let answered = match stream {
            Ok(mut stream) => {
                let request = b"GET /health/live HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
                let written = tokio::io::AsyncWriteExt::write_all(&mut stream, request).await;
                let mut answer = Vec::new();
                let _ = stream.read_to_end(&mut answer).await;
                written.is_ok() && answer.starts_with(b"HTTP/1.1 200")
            }
            Err(_) => false,
        };
        assert_eq!(answered, is_served);
    }
}

#[tokio::test]
async fn a_connection_without_a_handshake_is_ended() {
    let (folder, authority) = (Folder::new(), Authority::new());
    let Guarded { server, .. } = start_tls(&folder, &authority, |config| {
        config.limits = Limits { header_seconds: 1, ..Limits::default() };
    });
    for address in [server.addresses().http, server.addresses().flight.expect("a listener")] {
        let mut stream = TcpStream::connect(address).await.expect("a connection");
        let mut answered = Vec::new();
        let _ = stream.read_to_end(&mut answered).await;
        assert!(answered.is_empty(), "{answered:?}");
    }
}

#[tokio::test]
async fn a_start_names_the_file_at_fault() {
    let (folder, authority) = (Folder::new(), Authority::new());
    let (certificate, key) = write(&folder, authority.sign("first"));
    let missing = folder.0.join("missing.pem");
    for (tls, wrong) in [
        (TlsConfig { certificate: missing.clone(), key: key.clone(), client_ca: None }, "tls.certificate: "),
        (TlsConfig { certificate: key.clone(), key: key.clone(), client_ca: None }, "has no certificate"),
        (TlsConfig { certificate: certificate.clone(), key: missing.clone(), client_ca: None }, "tls.key: "),
        (TlsConfig { certificate, key, client_ca: Some(missing) }, "tls.client_ca: "),
    ] {
        let config = Config { tls: Some(tls), ..Config::on_free_port() };
        let error = proscenium_gateway::Server::start(config).expect_err("a file is at fault").to_string();
        assert!(error.contains(wrong) && error.contains(".pem"), "{error}");
    }
}
