//! The binary: reads the command line, starts the server, waits for the signal to end.

use std::io::Write;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use proscenium_gateway::settings::Options;
use proscenium_gateway::{Server, shutdown};

/// Live tables for Perspective clients.
#[derive(Debug, Parser)]
#[command(name = "proscenium", version)]
struct Cli {
    /// How the log, which goes to standard error, is written.
    #[arg(long, value_enum, default_value_t, global = true)]
    log: LogFormat,
    #[command(subcommand)]
    command: Command,
}

/// How the log is written.
#[derive(Debug, Clone, Copy, Default, clap::ValueEnum)]
enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line, for what collects logs.
    Json,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serves tables until Ctrl-C.
    Serve(Box<Options>),
}

fn main() -> ExitCode {
    let Cli { log, command: Command::Serve(options) } = Cli::parse();
    let filter = tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| "info".into());
    let logs = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match log {
        LogFormat::Text => logs.init(),
        LogFormat::Json => logs.json().flatten_event(true).init(),
    }
    open_many_files();
    match run(*options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("proscenium: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Tells whoever started the server; nobody needs to listen.
fn announce(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

/// A connection is an open file, and the usual bound is a thousand: takes as many as the system lets it have.
fn open_many_files() {
    #[cfg(unix)]
    {
        use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
        let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
        if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }) {
            tracing::warn!(%error, "the number of connections is bounded by the system's limit on open files");
        }
    }
}

fn run(options: Options) -> Result<(), Box<dyn std::error::Error>> {
    let server = Server::start(options.resolve()?)?;
    let addresses = server.addresses();
    announce(&format!("listening http://{}", addresses.http));
    if let Some(flight) = addresses.flight {
        announce(&format!("listening grpc://{flight}"));
    }
    announce("ready");
    actix_rt::System::new().block_on(shutdown::signal())?;
    announce("stopping");
    server.stop();
    Ok(())
}
