//! The binary: reads the command line, starts the server, waits for the signal to end.

use std::net::SocketAddr;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use proscenium_gateway::{Config, Server, shutdown};

/// Live tables for Perspective clients.
#[derive(Debug, Parser)]
#[command(name = "proscenium", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serves tables until Ctrl-C.
    Serve(Serve),
}

#[derive(Debug, Args)]
struct Serve {
    /// Address for HTTP and WebSocket; port 0 takes a free one.
    #[arg(long, value_name = "ADDR", default_value_t = Config::default().listen)]
    listen: SocketAddr,
    /// Largest WebSocket message, in bytes.
    #[arg(long, value_name = "BYTES", default_value_t = Config::default().max_frame_bytes)]
    max_frame_bytes: usize,
}

fn main() -> ExitCode {
    tracing_subscriber::fmt()
        .with_env_filter(
            tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| "info".into()),
        )
        .with_writer(std::io::stderr)
        .init();
    let Command::Serve(serve) = Cli::parse().command;
    match run(serve) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("proscenium: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(serve: Serve) -> Result<(), Box<dyn std::error::Error>> {
    let config = Config { listen: serve.listen, max_frame_bytes: serve.max_frame_bytes, ..Config::default() };
    let server = Server::start(config)?;
    println!("http://{}", server.addresses().http);
    actix_rt::System::new().block_on(shutdown::signal())?;
    server.stop();
    Ok(())
}
