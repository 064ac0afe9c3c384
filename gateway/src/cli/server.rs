//! The server that a command speaks to: its address, and the connection.

use std::path::PathBuf;
use std::time::Duration;

use arrow_flight::FlightClient;
use arrow_flight::flight_service_client::FlightServiceClient;
use clap::Args;
use tonic::transport::{Certificate, ClientTlsConfig, Endpoint};

use super::error::{CliError, root_cause};
use crate::tuning;

/// How long a server may take to accept a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

const DEFAULT_URL: &str = "grpc://127.0.0.1:8815";

const DEFAULT_PORT: u16 = 8815;

/// The server of a command.
#[derive(Debug, Clone, Args)]
pub struct ServerArgs {
    /// Arrow Flight address of the server.
    #[arg(
        long,
        visible_aliases = ["to", "from"],
        env = "PROSCENIUM_FLIGHT",
        default_value = DEFAULT_URL,
        value_name = "URL",
        value_parser = endpoint,
        hide_env_values = true
    )]
    server: Endpoint,
    /// Key, or token of a login or of an identity provider, that the server requires.
    #[arg(long, env = "PROSCENIUM_TOKEN", hide_env_values = true, value_name = "TOKEN")]
    token: Option<String>,
    /// Certificates (PEM) that the server's own is checked by, in place of the system's; for grpc+tls://.
    #[arg(long, env = "PROSCENIUM_CA", value_name = "FILE")]
    ca: Option<PathBuf>,
}

/// Parses `grpc://HOST[:PORT]`, also `grpc+tcp://`, `grpc+tls://` and without a scheme.
fn endpoint(url: &str) -> Result<Endpoint, String> {
    // A variable of the environment that is set to nothing.
    let url = if url.is_empty() { DEFAULT_URL } else { url };
    let (scheme, authority) = match url.split_once("://") {
        None => ("http", url),
        Some(("grpc" | "grpc+tcp" | "http", authority)) => ("http", authority),
        Some(("grpc+tls" | "grpcs" | "https", authority)) => ("https", authority),
        Some((scheme, _)) => {
            return Err(format!("\"{scheme}\" is no scheme of this client; an address is grpc://HOST:PORT"));
        }
    };
    let wrong = |error: &dyn std::fmt::Display| format!("an address is grpc://HOST:PORT: {error}");
    let parsed: tonic::transport::Uri =
        format!("{scheme}://{authority}").parse().map_err(|error| wrong(&error))?;
    let host = parsed.host().unwrap_or_default();
    let port = parsed.port_u16().unwrap_or(DEFAULT_PORT);
    let endpoint =
        Endpoint::from_shared(format!("{scheme}://{host}:{port}")).map_err(|error| wrong(&error))?;
    Ok(endpoint.connect_timeout(CONNECT_TIMEOUT))
}

impl ServerArgs {
    /// Connects.
    ///
    /// # Errors
    ///
    /// No server accepts the connection; names the address.
    pub(super) async fn connect(&self) -> Result<FlightClient, CliError> {
        let uri = self.server.uri().to_string();
        let url = uri.trim_end_matches('/').replacen("https:", "grpc+tls:", 1).replacen("http:", "grpc:", 1);
        let unreachable = |reason| CliError::Unreachable { url: url.clone(), reason };
        let endpoint = match uri.starts_with("https") {
            true => {
                let tls = self.tls().map_err(unreachable)?;
                self.server.clone().tls_config(tls).map_err(|error| unreachable(root_cause(&error)))?
            }
            false => self.server.clone(),
        };
        let channel = endpoint.connect().await.map_err(|error| unreachable(root_cause(&error)))?;
        let client =
            FlightServiceClient::new(channel).max_decoding_message_size(tuning::FLIGHT_MESSAGE_BYTES);
        let mut client = FlightClient::new_from_inner(client);
        if let Some(token) = self.token.as_deref().filter(|token| !token.is_empty()) {
            let header = client.add_header("authorization", &format!("Bearer {token}"));
            header.map_err(|_| unreachable("the token is no text of a header".to_owned()))?;
        }
        Ok(client)
    }

    fn tls(&self) -> Result<ClientTlsConfig, String> {
        let certificates = match &self.ca {
            Some(path) => std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?,
            None => return Ok(ClientTlsConfig::new().with_native_roots()),
        };
        Ok(ClientTlsConfig::new().ca_certificate(Certificate::from_pem(certificates)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_have_a_scheme_and_a_port_or_the_usual_ones() {
        for (url, uri) in [
            ("grpc://10.0.0.1:9000", "http://10.0.0.1:9000/"),
            ("grpc+tcp://host:1", "http://host:1/"),
            ("localhost", "http://localhost:8815/"),
            ("", "http://127.0.0.1:8815/"),
            ("grpc://[::1]:7", "http://[::1]:7/"),
            ("grpc+tls://a:1", "https://a:1/"),
        ] {
            assert_eq!(endpoint(url).unwrap().uri().to_string(), uri);
        }
        assert!(endpoint("ftp://a:1").unwrap_err().contains("ftp"));
        assert!(endpoint("grpc://a b").unwrap_err().contains("grpc://HOST:PORT"));
    }
}
