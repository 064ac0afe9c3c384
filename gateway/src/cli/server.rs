//! The server that a command speaks to: its address, and the connection.

use std::time::Duration;

use arrow_flight::FlightClient;
use arrow_flight::flight_service_client::FlightServiceClient;
use clap::Args;
use tonic::transport::Endpoint;

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
}

/// Parses `grpc://HOST[:PORT]`, also `grpc+tcp://` and without a scheme.
fn endpoint(url: &str) -> Result<Endpoint, String> {
    // A variable of the environment that is set to nothing.
    let url = if url.is_empty() { DEFAULT_URL } else { url };
    let authority = match url.split_once("://") {
        None => url,
        Some(("grpc" | "grpc+tcp" | "http", authority)) => authority,
        Some((scheme, _)) => {
            return Err(format!("\"{scheme}\" is no scheme of this client; an address is grpc://HOST:PORT"));
        }
    };
    let wrong = |error: &dyn std::fmt::Display| format!("an address is grpc://HOST:PORT: {error}");
    let parsed: tonic::transport::Uri =
        format!("http://{authority}").parse().map_err(|error| wrong(&error))?;
    let host = parsed.host().unwrap_or_default();
    let port = parsed.port_u16().unwrap_or(DEFAULT_PORT);
    let endpoint = Endpoint::from_shared(format!("http://{host}:{port}")).map_err(|error| wrong(&error))?;
    Ok(endpoint.connect_timeout(CONNECT_TIMEOUT))
}

impl ServerArgs {
    /// Connects.
    ///
    /// # Errors
    ///
    /// No server accepts the connection; names the address.
    pub(super) async fn connect(&self) -> Result<FlightClient, CliError> {
        let channel = self.server.connect().await.map_err(|error| CliError::Unreachable {
            url: self.server.uri().to_string().trim_end_matches('/').replacen("http", "grpc", 1),
            reason: root_cause(&error),
        })?;
        let client =
            FlightServiceClient::new(channel).max_decoding_message_size(tuning::FLIGHT_MESSAGE_BYTES);
        Ok(FlightClient::new_from_inner(client))
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
        ] {
            assert_eq!(endpoint(url).unwrap().uri().to_string(), uri);
        }
        assert!(endpoint("grpc+tls://a:1").unwrap_err().contains("grpc+tls"));
        assert!(endpoint("grpc://a b").unwrap_err().contains("grpc://HOST:PORT"));
    }
}
