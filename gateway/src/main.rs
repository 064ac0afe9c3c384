//! The binary: parses the command line, and starts the server until a termination signal, or a command of a client.

use std::io::Write;
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};
use clap_complete::Shell;
use proscenium_gateway::cli::{self, ClientCommand};
use proscenium_gateway::settings::Options;
use proscenium_gateway::{Server, shutdown};

/// Live tables for Perspective clients.
#[derive(Debug, Parser)]
#[command(name = "proscenium", version)]
struct Cli {
    /// Format of the log, which is written to standard error.
    #[arg(long, value_enum, default_value_t, global = true)]
    log: LogFormat,
    #[command(subcommand)]
    command: Command,
}

/// Format of the log.
#[derive(Debug, Clone, Copy, Default, clap::ValueEnum)]
enum LogFormat {
    /// Human-readable text.
    #[default]
    Text,
    /// One JSON object per line, for log collectors.
    Json,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serves tables until Ctrl-C or a termination signal.
    Serve(Box<Options>),
    #[command(flatten)]
    Client(ClientCommand),
    /// Prints the completions of a shell.
    Completions {
        /// The shell.
        shell: Shell,
    },
}

fn main() -> ExitCode {
    let Cli { log, command } = Cli::parse();
    match command {
        Command::Serve(options) => serve(log, *options),
        Command::Client(command) => cli::run(command),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "proscenium", &mut script);
            // The shell reads all of it, or has ended.
            let _ = std::io::stdout().write_all(&script);
            ExitCode::SUCCESS
        }
    }
}

fn serve(log: LogFormat, options: Options) -> ExitCode {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| "info".into());
    // A log that cannot be written, as on a full disk, is lost: reporting that to the same place would panic.
    let logs = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .log_internal_errors(false);
    match log {
        LogFormat::Text => logs.init(),
        LogFormat::Json => logs.json().flatten_event(true).init(),
    }
    open_many_files();
    match run(options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "proscenium: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Prints a line to standard output, which may be closed.
fn announce(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

/// Raises the limit on open files to its maximum: each connection takes two, and the default is often 1,024.
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
