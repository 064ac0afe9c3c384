//! The binary: parses the command line, and starts the server until a termination signal, or a command of a client.

use std::io::Write;
use std::process::ExitCode;
use std::sync::LazyLock;

use clap::{ArgAction, CommandFactory, Parser, Subcommand};
use clap_complete::Shell;
use proscenium_gateway::cli::{self, ClientCommand};
use proscenium_gateway::credential_command::{self, KeyCommand, UserCommand};
use proscenium_gateway::data_command::{self, DataCommand};
use proscenium_gateway::page::PageFile;
use proscenium_gateway::settings::Options;
use proscenium_gateway::{Server, shutdown, tuning};

/// The page's files, in a packaged binary: the list that `cargo package-binary` writes.
#[cfg(page_inside)]
const PAGE: &[PageFile] = include!(env!("PROSCENIUM_PAGE_FILES"));
#[cfg(not(page_inside))]
const PAGE: &[PageFile] = &[];

const DEFAULT_CONFIG: &str = include_str!("../../deploy/config/proscenium.toml");

/// The release, and the commit of a packaged binary.
static VERSION: LazyLock<String> = LazyLock::new(|| match option_env!("PROSCENIUM_COMMIT") {
    Some(commit) if !commit.is_empty() => format!("{} ({commit})", env!("CARGO_PKG_VERSION")),
    _ => env!("CARGO_PKG_VERSION").to_owned(),
});

/// Live tables for Perspective clients.
#[derive(Debug, Parser)]
#[command(name = "proscenium", version = VERSION.as_str(), disable_help_flag = true, disable_help_subcommand = true)]
struct Cli {
    /// Format of the server's log.
    #[arg(long, value_enum, value_name = "FORMAT")]
    log: Option<LogFormat>,
    /// Prints this help.
    #[arg(long, short, action = ArgAction::HelpShort, global = true, display_order = 1000)]
    help: Option<bool>,
    #[command(subcommand)]
    command: Command,
}

const SERVE_EXAMPLES: &str = "\
Examples:
  proscenium serve --demo
  proscenium serve --table trades=trades.csv,index=id --table prices=prices.parquet
  proscenium serve --table 'log=log.txt,format=csv,separator=;,decimal=\\,,limit=100000'
  proscenium serve --config proscenium.toml --listen 0.0.0.0:8080 --host tables.example.org

Files are CSV, JSON, NDJSON, Arrow or Parquet, by their ending or format=; also .gz, .zst, .br.
Options of --table: index, limit, format, lists, separator, decimal, header (docs/loading.md).";

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
    #[command(after_help = SERVE_EXAMPLES)]
    Serve {
        #[command(flatten)]
        options: Box<Options>,
        /// Format of the log on standard error [default: text].
        #[arg(id = "serve-log", long = "log", value_enum, value_name = "FORMAT")]
        log: Option<LogFormat>,
        /// Stops when standard input ends, as it does when the program that started the server has ended.
        #[arg(long)]
        stop_on_eof: bool,
    },
    /// Prints the default configuration, with every key explained.
    Config,
    #[command(flatten)]
    Client(ClientCommand),
    /// Checks, repairs or backs up a data directory (docs/durability.md).
    Data {
        #[command(subcommand)]
        command: DataCommand,
    },
    /// Makes users for [auth] (docs/security.md).
    User {
        #[command(subcommand)]
        command: UserCommand,
    },
    /// Makes keys of programs for [auth] (docs/security.md).
    Key {
        #[command(subcommand)]
        command: KeyCommand,
    },
    /// Prints the completions of a shell.
    Completions {
        /// The shell.
        shell: Shell,
    },
}

fn main() -> ExitCode {
    let Cli { log: first, help: _, command } = Cli::parse();
    match command {
        Command::Serve { options, log, stop_on_eof } => {
            serve(log.or(first).unwrap_or_default(), *options, stop_on_eof)
        }
        Command::Config => {
            // The reader has read what it wanted, or has ended.
            let _ = std::io::stdout().write_all(DEFAULT_CONFIG.as_bytes());
            ExitCode::SUCCESS
        }
        Command::Client(command) => cli::run(command),
        Command::Data { command } => data_command::run(command),
        Command::User { command } => credential_command::run_user(command),
        Command::Key { command } => credential_command::run_key(command),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "proscenium", &mut script);
            // The shell reads all of it, or has ended.
            let _ = std::io::stdout().write_all(&script);
            ExitCode::SUCCESS
        }
    }
}

fn serve(log: LogFormat, options: Options, stop_on_eof: bool) -> ExitCode {
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
    match run(options, stop_on_eof) {
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

fn run(options: Options, stop_on_eof: bool) -> Result<(), Box<dyn std::error::Error>> {
    let config = options.resolve(PAGE)?;
    let is_encrypted = config.tls.is_some();
    let server = Server::start(config)?;
    let addresses = server.addresses();
    let (http, grpc) = if is_encrypted { ("https", "grpc+tls") } else { ("http", "grpc") };
    announce(&format!("listening {http}://{}", addresses.http));
    if let Some(flight) = addresses.flight {
        announce(&format!("listening {grpc}://{flight}"));
    }
    announce("ready");
    let failure = actix_rt::System::new().block_on(async {
        let ended = async {
            if stop_on_eof { shutdown::signal_or_end_of_input().await } else { shutdown::signal().await }
        };
        tokio::select! {
            signalled = ended => signalled.map(|()| None),
            reason = server.failed() => {
                tokio::time::sleep(tuning::FAILURE_NOTICE).await;
                Ok(Some(reason))
            }
        }
    })?;
    announce("stopping");
    server.stop();
    match failure {
        None => Ok(()),
        Some(reason) => Err(reason.into()),
    }
}
