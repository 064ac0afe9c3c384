//! TLS of the listeners: certificates, and byte streams that are encrypted or not.
//!
//! Invariant: protocols are TLS 1.2 and 1.3, cryptography is ring's. A handshake uses the certificate that is loaded when it
//! starts, so a new one applies to the next connection and leaves the others alone.

use std::io;
use std::path::Path;
use std::pin::Pin;
use std::sync::{Arc, PoisonError, RwLock};
use std::task::{Context, Poll};
use std::time::Duration;

use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::config::TlsConfig;
use crate::setup_error::SetupError;

/// The cryptography of all connections.
pub fn crypto_provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// Reads certificates from a file.
///
/// # Errors
///
/// The file cannot be read, or has no certificate.
pub fn read_certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let named = |reason: &dyn std::fmt::Display| format!("{}: {reason}", path.display());
    let read = CertificateDer::pem_file_iter(path).map_err(|error| named(&error))?;
    let certificates = read.collect::<Result<Vec<_>, _>>().map_err(|error| named(&error))?;
    if certificates.is_empty() {
        return Err(named(&"has no certificate"));
    }
    Ok(certificates)
}

/// The protocol above TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    Http1,
    Http2,
}

/// The certificates of the listeners. Clones share what is loaded.
#[derive(Debug, Clone)]
pub struct TlsKeys {
    config: TlsConfig,
    loaded: Arc<RwLock<Loaded>>,
}

#[derive(Debug)]
struct Loaded {
    http1: Arc<ServerConfig>,
    http2: Arc<ServerConfig>,
}

impl Loaded {
    fn read(config: &TlsConfig) -> Result<Loaded, SetupError> {
        let fault = |key: &'static str| move |reason: String| SetupError::Setting { key, reason };
        let chain = read_certificates(&config.certificate).map_err(fault("tls.certificate"))?;
        let key = PrivateKeyDer::from_pem_file(&config.key)
            .map_err(|error| fault("tls.key")(format!("{}: {error}", config.key.display())))?;
        let provider = crypto_provider();
        let builder = ServerConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .map_err(|error| fault("tls")(error.to_string()))?;
        let builder = match &config.client_ca {
            None => builder.with_no_client_auth(),
            Some(path) => {
                let mut roots = RootCertStore::empty();
                for certificate in read_certificates(path).map_err(fault("tls.client_ca"))? {
                    roots.add(certificate).map_err(|error| fault("tls.client_ca")(error.to_string()))?;
                }
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
                builder.with_client_cert_verifier(
                    verifier.map_err(|error| fault("tls.client_ca")(error.to_string()))?,
                )
            }
        };
        let mut http1 = builder
            .with_single_cert(chain, key)
            .map_err(|error| fault("tls.key")(format!("does not fit the certificate: {error}")))?;
        let mut http2 = http1.clone();
        http1.alpn_protocols = vec![b"http/1.1".to_vec()];
        http2.alpn_protocols = vec![b"h2".to_vec()];
        Ok(Loaded { http1: Arc::new(http1), http2: Arc::new(http2) })
    }
}

impl TlsKeys {
    /// Loads the certificate and its key.
    ///
    /// # Errors
    ///
    /// A file cannot be read, or the key does not fit the certificate.
    pub fn load(config: &TlsConfig) -> Result<TlsKeys, SetupError> {
        let loaded = Loaded::read(config)?;
        Ok(TlsKeys { config: config.clone(), loaded: Arc::new(RwLock::new(loaded)) })
    }

    /// Where they are loaded from.
    pub fn config(&self) -> &TlsConfig {
        &self.config
    }

    /// Loads the files again, for connections that are opened from now on.
    ///
    /// # Errors
    ///
    /// As [`TlsKeys::load`]; the old certificate is still used.
    pub fn reload(&self) -> Result<(), SetupError> {
        let loaded = Loaded::read(&self.config)?;
        *self.loaded.write().unwrap_or_else(PoisonError::into_inner) = loaded;
        Ok(())
    }

    fn acceptor(&self, protocol: Protocol) -> TlsAcceptor {
        let loaded = self.loaded.read().unwrap_or_else(PoisonError::into_inner);
        TlsAcceptor::from(match protocol {
            Protocol::Http1 => loaded.http1.clone(),
            Protocol::Http2 => loaded.http2.clone(),
        })
    }
}

/// Performs the handshake of a new connection, if there is a certificate.
///
/// # Errors
///
/// The handshake fails, or takes longer than `within`.
pub async fn accept(
    keys: Option<TlsKeys>,
    protocol: Protocol,
    stream: TcpStream,
    within: Duration,
) -> io::Result<ServerStream> {
    let Some(keys) = keys else { return Ok(ServerStream::Plain(stream)) };
    let accepted = tokio::time::timeout(within, keys.acceptor(protocol).accept(stream)).await;
    let accepted =
        accepted.unwrap_or_else(|_| Err(io::Error::new(io::ErrorKind::TimedOut, "no handshake in time")));
    accepted.map(|stream| ServerStream::Encrypted(Box::new(stream)))
}

/// The bytes of a connection.
#[derive(Debug)]
pub enum ServerStream {
    Plain(TcpStream),
    Encrypted(Box<TlsStream<TcpStream>>),
}

impl ServerStream {
    /// The socket.
    pub fn tcp(&self) -> &TcpStream {
        match self {
            ServerStream::Plain(stream) => stream,
            ServerStream::Encrypted(stream) => stream.get_ref().0,
        }
    }

    /// Whether the bytes are encrypted.
    pub fn is_encrypted(&self) -> bool {
        matches!(self, ServerStream::Encrypted(_))
    }
}

impl AsyncRead for ServerStream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            ServerStream::Plain(stream) => Pin::new(stream).poll_read(context, buffer),
            ServerStream::Encrypted(stream) => Pin::new(stream).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for ServerStream {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            ServerStream::Plain(stream) => Pin::new(stream).poll_write(context, bytes),
            ServerStream::Encrypted(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            ServerStream::Plain(stream) => Pin::new(stream).poll_write_vectored(context, slices),
            ServerStream::Encrypted(stream) => Pin::new(stream).poll_write_vectored(context, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            ServerStream::Plain(stream) => stream.is_write_vectored(),
            ServerStream::Encrypted(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            ServerStream::Plain(stream) => Pin::new(stream).poll_flush(context),
            ServerStream::Encrypted(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            ServerStream::Plain(stream) => Pin::new(stream).poll_shutdown(context),
            ServerStream::Encrypted(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}
