//! The commands of `proscenium` that are clients of a server: load, tables, export, query, watch.
//!
//! Invariant: they use Arrow Flight alone, and read files by the rules of `serve --table`. Data go to standard output,
//! progress and errors to standard error; an error of the server keeps its text and its code.
//!
//! Reading order: the server ([`server`], [`listing`], [`error`]); files to rows to puts ([`inputs`], [`rows`],
//! [`put`], [`load`], [`follow`], [`whole_records`]); views to rows to text ([`view_flags`], [`filter_text`], [`get`], [`output`],
//! [`grid`], [`query`], [`export`], [`watch`]).

mod error;
mod export;
mod filter_text;
mod follow;
mod get;
mod grid;
mod inputs;
mod listing;
mod load;
mod output;
mod progress;
mod put;
mod query;
mod rows;
mod server;
mod tables;
mod view_flags;
mod watch;
mod whole_records;

use std::io::Write;
use std::process::ExitCode;

use clap::Subcommand;

use error::CliError;

const LOAD_EXAMPLES: &str = "\
Examples:
  proscenium load trades.csv --table trades --index id
  proscenium load days/ 'more/2024-*.parquet' --table days --to grpc://tables:8815
  zcat log.gz | proscenium load - --format ndjson --table log --limit 100000
  proscenium load app.log.csv --table app --follow";

const EXPORT_EXAMPLES: &str = "\
Examples:
  proscenium export trades > trades.csv
  proscenium export trades -o trades.parquet --from grpc://tables:8815";

const QUERY_EXAMPLES: &str = "\
Examples:
  proscenium query trades --filter 'price > 10' --sort price=desc --rows 0..20
  proscenium query trades -g symbol -c price,size -a price=avg -a size=sum
  proscenium query trades -e 'total=\"price\" * \"size\"' -c symbol,total --format csv
  proscenium query trades --view '{\"group_by\": [\"symbol\"], \"columns\": [\"price\"]}'";

const WATCH_EXAMPLES: &str = "\
Examples:
  proscenium watch trades --sort time=desc
  proscenium watch trades -g symbol -c price -a price=last --every 200ms";

/// A command that is a client of a server.
#[derive(Debug, Subcommand)]
pub enum ClientCommand {
    /// Loads files, folders or standard input into a table.
    #[command(after_help = LOAD_EXAMPLES)]
    Load(Box<load::LoadArgs>),
    /// Lists the tables of a server.
    Tables(Box<tables::TablesArgs>),
    /// Writes a table to a file or to standard output.
    #[command(after_help = EXPORT_EXAMPLES)]
    Export(Box<export::ExportArgs>),
    /// Shows a view of a table: grouped, split, filtered, sorted.
    #[command(after_help = QUERY_EXAMPLES)]
    Query(Box<query::QueryArgs>),
    /// Shows a view of a table and redraws it when it changes; Ctrl-C ends it.
    #[command(after_help = WATCH_EXAMPLES)]
    Watch(Box<watch::WatchArgs>),
}

/// Runs a command. Errors are written to standard error, and make the exit code 1.
pub fn run(command: ClientCommand) -> ExitCode {
    // The connection has a thread of its own: it answers the server's pings while a file is read.
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let ran = runtime.map_err(CliError::System).and_then(|runtime| {
        runtime.block_on(async {
            match command {
                ClientCommand::Load(args) => load::run(*args).await,
                ClientCommand::Tables(args) => tables::run(*args).await,
                ClientCommand::Export(args) => export::run(*args).await,
                ClientCommand::Query(args) => query::run(*args).await,
                ClientCommand::Watch(args) => watch::run(*args).await,
            }
        })
    });
    match ran {
        Ok(()) => ExitCode::SUCCESS,
        // The reader has seen enough, as `head` does.
        Err(error) if error.is_broken_pipe() => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "proscenium: {error}");
            ExitCode::FAILURE
        }
    }
}
