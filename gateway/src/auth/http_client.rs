//! Requests to identity providers: JSON over HTTP/1.1, over TLS except on loopback.
//!
//! Invariant: the time and the bytes of an answer are bounded, and redirections are not followed.

use std::path::Path;
use std::sync::Arc;

use http_body_util::{BodyExt, Full, Limited};
use hyper::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST};
use hyper::{Method, Request, Uri};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::config::auth::is_private_url;
use crate::{tls, tuning};

/// Why a provider gave no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{url}: {reason}")]
pub struct FetchError {
    pub url: String,
    pub reason: String,
}

/// A client of identity providers.
#[derive(Debug, Clone)]
pub struct HttpClient(Arc<ClientConfig>);

/// The form of a request, and the name and secret that it is sent with.
#[derive(Debug, Clone, Copy)]
pub struct Form<'a> {
    pub fields: &'a [(&'a str, &'a str)],
    pub authorization: Option<&'a str>,
}

impl HttpClient {
    /// Creates a client that trusts the system's certificates and those of a file.
    ///
    /// # Errors
    ///
    /// The file cannot be read or has no certificate.
    pub fn new(ca: Option<&Path>) -> Result<HttpClient, String> {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        if let Some(path) = ca {
            for certificate in tls::read_certificates(path)? {
                roots.add(certificate).map_err(|error| format!("{}: {error}", path.display()))?;
            }
        }
        let config = ClientConfig::builder_with_provider(tls::crypto_provider())
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(HttpClient(Arc::new(config)))
    }

    /// Gets a JSON document.
    ///
    /// # Errors
    ///
    /// The provider does not answer in time, or with something else.
    pub async fn get(&self, url: &str) -> Result<Value, FetchError> {
        self.send(url, None).await
    }

    /// Sends a form and returns the JSON answer.
    ///
    /// # Errors
    ///
    /// As [`HttpClient::get`].
    pub async fn post(&self, url: &str, form: Form<'_>) -> Result<Value, FetchError> {
        self.send(url, Some(form)).await
    }

    async fn send(&self, url: &str, form: Option<Form<'_>>) -> Result<Value, FetchError> {
        let sent = tokio::time::timeout(tuning::PROVIDER_TIMEOUT, self.exchange(url, form)).await;
        let answer = sent.unwrap_or_else(|_| Err("no answer in time".to_owned()));
        answer.map_err(|reason| FetchError { url: url.to_owned(), reason })
    }

    async fn exchange(&self, url: &str, form: Option<Form<'_>>) -> Result<Value, String> {
        if !is_private_url(url) {
            return Err("is neither an https URL nor on loopback".to_owned());
        }
        let uri: Uri = url.parse().map_err(|error| format!("is no URL: {error}"))?;
        let host = uri.host().unwrap_or_default().trim_matches(['[', ']']).to_owned();
        let is_https = uri.scheme_str() == Some("https");
        let port = uri.port_u16().unwrap_or(if is_https { 443 } else { 80 });
        let stream = TcpStream::connect((host.as_str(), port)).await.map_err(|error| error.to_string())?;
        if !is_https {
            return request(stream, &uri, form).await;
        }
        let name = ServerName::try_from(host).map_err(|error| error.to_string())?;
        let stream = TlsConnector::from(self.0.clone()).connect(name, stream).await;
        request(stream.map_err(|error| error.to_string())?, &uri, form).await
    }
}

async fn request<S>(stream: S, uri: &Uri, form: Option<Form<'_>>) -> Result<Value, String>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let text = |error: hyper::Error| error.to_string();
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(text)?;
    let connection = tokio::spawn(connection);
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let authority = uri.authority().map_or("", |authority| authority.as_str());
    let mut request = Request::builder().uri(path).header(HOST, authority).header(ACCEPT, "application/json");
    let mut body = String::new();
    if let Some(Form { fields, authorization }) = form {
        request = request.method(Method::POST).header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        if let Some(authorization) = authorization {
            request = request.header(AUTHORIZATION, authorization);
        }
        let fields: Vec<String> =
            fields.iter().map(|(name, value)| format!("{name}={}", percent_encode(value))).collect();
        body = fields.join("&");
    }
    let request = request.body(Full::new(bytes::Bytes::from(body))).map_err(|error| error.to_string())?;
    let response = sender.send_request(request).await.map_err(text)?;
    let status = response.status();
    let body = Limited::new(response.into_body(), tuning::PROVIDER_BYTES).collect().await;
    connection.abort();
    let body = body.map_err(|error| error.to_string())?.to_bytes();
    if !status.is_success() {
        // Providers name the reason so (RFC 6749, section 5.2).
        let reason = serde_json::from_slice::<Value>(&body).ok();
        let reason = reason.as_ref().and_then(|reason| reason.get("error")?.as_str()).unwrap_or_default();
        return Err(format!("answered {status} {reason}").trim_end().to_owned());
    }
    serde_json::from_slice(&body).map_err(|error| format!("the answer is not JSON: {error}"))
}

/// Encodes a text for a query or a form.
pub fn percent_encode(text: &str) -> String {
    use std::fmt::Write as _;
    text.bytes().fold(String::new(), |mut encoded, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            let _ = write!(encoded, "%{byte:02X}");
        }
        encoded
    })
}
