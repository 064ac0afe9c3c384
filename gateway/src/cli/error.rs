//! What a command reports before it ends with exit code 1.
//!
//! Invariant: a refusal by the server is shown with its text and its stable code.

use std::error::Error;
use std::io::ErrorKind;

use arrow::error::ArrowError;
use arrow_flight::error::FlightError;
use parquet::errors::ParquetError;
use tonic::Status;

use crate::setup_error::SetupError;

/// Why a command ends.
#[derive(Debug, thiserror::Error)]
pub(super) enum CliError {
    #[error(
        "cannot reach {url}: {reason}; start a server with `proscenium serve`, or name another with --server or \
         PROSCENIUM_FLIGHT"
    )]
    Unreachable { url: String, reason: String },
    #[error(
        "the server does not answer: {reason}; its address is the one that `proscenium serve` prints as grpc://"
    )]
    Lost { reason: String },
    #[error("{text} ({code})")]
    Refused { text: String, code: String },
    #[error(transparent)]
    Setup(#[from] SetupError),
    /// A flag or its value.
    #[error("{0}")]
    Usage(String),
    /// A file, and what is wrong with it.
    #[error("{name}: {reason}")]
    Input { name: String, reason: String },
    #[error("cannot write {name}: {source}")]
    Output { name: String, source: std::io::Error },
    #[error("{0}")]
    System(std::io::Error),
    #[error("the server's data cannot be read: {0}")]
    Data(#[from] ArrowError),
    #[error("cannot write Parquet: {0}")]
    Parquet(ParquetError),
    /// A load that ends after some of its rows were applied.
    #[error("{error}; {num_rows} rows of this load are in the table")]
    Partial { error: Box<CliError>, num_rows: u64 },
}

impl CliError {
    pub(super) fn input(name: &dyn std::fmt::Display, reason: &dyn std::fmt::Display) -> CliError {
        CliError::Input { name: name.to_string(), reason: reason.to_string() }
    }

    /// Whether the connection is lost, so that the same may succeed later.
    pub(super) fn is_lost_connection(&self) -> bool {
        matches!(self, CliError::Lost { .. })
    }

    /// Whether the reader of standard output has ended.
    pub(super) fn is_broken_pipe(&self) -> bool {
        matches!(self, CliError::Output { source, .. } if source.kind() == ErrorKind::BrokenPipe)
    }
}

impl From<Status> for CliError {
    fn from(status: Status) -> CliError {
        // A status that has a cause is of the connection, not of the server.
        if let Some(cause) = status.source() {
            return CliError::Lost { reason: root_cause(cause) };
        }
        let code = status.metadata().get("proscenium-code").and_then(|code| code.to_str().ok());
        let code = code.map_or_else(|| format!("{:?}", status.code()), str::to_owned);
        CliError::Refused { text: status.message().to_owned(), code }
    }
}

impl From<FlightError> for CliError {
    fn from(error: FlightError) -> CliError {
        match error {
            FlightError::Tonic(status) => (*status).into(),
            FlightError::Arrow(error) => error.into(),
            error => ArrowError::IpcError(error.to_string()).into(),
        }
    }
}

/// The text of the innermost error, which says what the system refused.
pub(super) fn root_cause(error: &dyn Error) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}
