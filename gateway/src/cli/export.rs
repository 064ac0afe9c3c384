//! `proscenium export`: a whole table to a file or to standard output.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::error::CliError;
use super::get::ViewRequest;
use super::output::{OutputFormat, Target, print};
use super::query::{self, ALL_ROWS};
use super::server::ServerArgs;

/// Arguments of `proscenium export`.
#[derive(Debug, Args)]
pub struct ExportArgs {
    /// Name of the table.
    table: String,
    #[command(flatten)]
    server: ServerArgs,
    /// Format [default: that of the file's ending, else csv].
    #[arg(long, value_enum)]
    format: Option<OutputFormat>,
    /// File to write; it is replaced once all rows have arrived [default: standard output].
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

pub(super) async fn run(args: ExportArgs) -> Result<(), CliError> {
    let format = match (args.format, &args.output) {
        (Some(format), _) => format,
        (None, None) => OutputFormat::Csv,
        (None, Some(path)) => OutputFormat::of_path(path).ok_or_else(|| {
            let reason =
                "the extension determines no format; add --format csv (or json, ndjson, arrow, parquet)";
            CliError::input(&path.display(), &reason)
        })?,
    };
    let target = Target::new(args.output.clone(), format)?;
    let mut client = args.server.connect().await?;
    let wanted = ViewRequest { table: args.table, view: json!({}) };
    let num_rows = query::write(&mut client, &wanted, ALL_ROWS, target, format).await?;
    match args.output {
        Some(path) => print(&format!("{num_rows} rows into {}\n", path.display())),
        None => Ok(()),
    }
}
