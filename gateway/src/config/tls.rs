//! The `[tls]` section.

use std::path::{Path, PathBuf};

use serde::Deserialize;

/// The server's certificate. If the section is present, HTTP, WebSocket and Flight are served over TLS alone.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsConfig {
    /// The certificate and those that it is signed by, as PEM.
    pub certificate: PathBuf,
    /// The private key, as PEM.
    pub key: PathBuf,
    /// Certificates (PEM) of which one must have signed the certificate of every client (mutual TLS).
    #[serde(default)]
    pub client_ca: Option<PathBuf>,
}

impl TlsConfig {
    /// Resolves the paths, which are relative to the file's folder.
    pub fn resolve_paths(&mut self, folder: &Path) {
        self.certificate = folder.join(&self.certificate);
        self.key = folder.join(&self.key);
        self.client_ca = self.client_ca.take().map(|path| folder.join(path));
    }

    /// The files that the section names.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        [&self.certificate, &self.key].into_iter().chain(&self.client_ca).map(PathBuf::as_path)
    }
}
