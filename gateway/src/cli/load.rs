//! `proscenium load`: files, folders or standard input into a table.
//!
//! Invariant: inputs are sent one after the other, in the order of the arguments. The first makes the table if there is
//! none, and with it the types of its columns; those after it are read for the table that is there.

use std::time::Duration;

use arrow_flight::FlightClient;
use clap::Args;
use proscenium_engine::{EngineContext, EngineError, TableData, TableOptions};
use serde_json::{Value, json};

use super::error::CliError;
use super::inputs::{self, Input};
use super::listing::{self, TableInfo};
use super::output::print;
use super::progress::Progress;
use super::put::put;
use super::rows::{Part, Reading};
use super::server::ServerArgs;
use super::{follow, watch};
use crate::load_options::{CsvWords, Format, Lists};
use crate::wire_errors;

/// Arguments of `proscenium load`.
#[derive(Debug, Args)]
pub struct LoadArgs {
    /// Files, folders, patterns (`'2024-*.csv'`), or `-` for standard input.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<String>,
    /// Name of the table; made from the first file if there is none.
    #[arg(long, short, value_name = "NAME")]
    table: String,
    #[command(flatten)]
    server: ServerArgs,
    /// Column that is the key of a new table.
    #[arg(long, value_name = "COLUMN", conflicts_with = "limit")]
    index: Option<String>,
    /// Rows that a new table keeps.
    #[arg(long, value_name = "ROWS")]
    limit: Option<u32>,
    /// Replaces the table's rows, in one step with the first file.
    #[arg(long)]
    replace: bool,
    /// Passes over columns that the table does not have.
    #[arg(long)]
    ignore_unknown: bool,
    /// Appends what is written to the file (CSV or NDJSON) from then on; Ctrl-C ends it.
    #[arg(long)]
    follow: bool,
    /// How often a followed file is read.
    #[arg(long, value_name = "TIME", default_value = "500ms", value_parser = watch::interval, requires = "follow")]
    every: Duration,
    #[command(flatten)]
    pub(super) read: ReadArgs,
}

/// How files are read.
#[derive(Debug, Args)]
pub struct ReadArgs {
    /// Format: csv, json, ndjson, arrow, parquet [default: that of the file's ending].
    #[arg(long)]
    format: Option<Format>,
    /// How lists become rows or texts: zip, cartesian, stringify.
    #[arg(long)]
    lists: Option<Lists>,
    /// Field separator of a CSV [default: recognised].
    #[arg(long, value_name = "CHARACTER")]
    pub(super) separator: Option<String>,
    /// Decimal separator of a CSV, `.` or `,`.
    #[arg(long, value_name = "CHARACTER")]
    pub(super) decimal: Option<String>,
    /// Whether a CSV has a header line.
    #[arg(long, value_name = "BOOL")]
    pub(super) header: Option<bool>,
}

impl ReadArgs {
    pub(super) fn csv(&self) -> CsvWords<'_> {
        CsvWords {
            separator: self.separator.as_deref(),
            decimal: self.decimal.as_deref(),
            header: self.header,
        }
    }
}

pub(super) async fn run(args: LoadArgs) -> Result<(), CliError> {
    let inputs = inputs::expand(&args.files, args.read.format)?;
    if args.follow {
        follow::check(&inputs)?;
    }
    let mut loading = Loading::begin(&args).await?;
    let loaded = load_all(&mut loading, &inputs).await;
    let num_rows = loading.progress.num_rows();
    let text = loading.progress.finish(&args.table);
    match loaded {
        Ok(()) => print(&text),
        Err(error) if num_rows > 0 => Err(CliError::Partial { error: Box::new(error), num_rows }),
        Err(error) => Err(error),
    }
}

async fn load_all(loading: &mut Loading<'_>, inputs: &[Input]) -> Result<(), CliError> {
    for input in inputs {
        if loading.args.follow {
            follow::run(loading, input, loading.args.every).await?;
            continue;
        }
        loading.progress.name(format!("reading {}", input.name()));
        let data = input.read(&loading.args.table, &loading.args.read)?;
        loading.send(&input.name(), data).await?;
    }
    Ok(())
}

/// A load that is under way.
pub(super) struct Loading<'a> {
    pub(super) args: &'a LoadArgs,
    client: FlightClient,
    /// The table as it was before the next input; `None`: there is none yet.
    table: Option<TableInfo>,
    /// Whether the next rows replace those that are there.
    replaces: bool,
    pub(super) progress: Progress,
}

impl<'a> Loading<'a> {
    async fn begin(args: &'a LoadArgs) -> Result<Loading<'a>, CliError> {
        let mut client = args.server.connect().await?;
        let table = listing::find(&mut client, &args.table).await?;
        Ok(Loading { args, client, table, replaces: args.replace, progress: Progress::begin() })
    }

    /// Sends data of the input that messages call `name`.
    pub(super) async fn send(&mut self, name: &str, data: TableData) -> Result<(), CliError> {
        let parts =
            self.read(&data).map_err(|error| CliError::input(&name, &wire_errors::engine_text(&error)))?;
        drop(data);
        self.progress.name(format!("sending {name}"));
        self.progress.expect(parts.iter().map(Part::num_rows).sum());
        for part in parts {
            let command = self.command();
            put(&mut self.client, &command, part, &mut self.progress).await?;
            self.replaces = false;
        }
        if self.table.is_none() {
            self.table = listing::find(&mut self.client, &self.args.table).await?;
        }
        Ok(())
    }

    fn read(&self, data: &TableData) -> Result<Vec<Part>, EngineError> {
        let reading = Reading {
            table: self.table.as_ref(),
            options: TableOptions {
                index: self.args.index.clone(),
                limit: self.args.limit,
                list_flatten: self.args.read.lists.unwrap_or_default().0,
            },
            ignore_unknown: self.args.ignore_unknown,
            replaces: self.replaces,
            context: EngineContext {
                threads: std::thread::available_parallelism().map_or(1, usize::from),
                ..EngineContext::default()
            },
        };
        reading.read(data)
    }

    fn command(&self) -> Value {
        let mode = if self.replaces { "replace" } else { "append" };
        // The mode by which the rows were read here: a table of another mode refuses them.
        let lists = self.args.read.lists.unwrap_or_default().0.name();
        let mut command = json!({"table": self.args.table, "mode": mode, "lists": lists, "ignore_unknown": self.args.ignore_unknown});
        if let Some(index) = &self.args.index {
            command["index"] = index.as_str().into();
        }
        if let Some(limit) = self.args.limit {
            command["limit"] = limit.into();
        }
        command
    }
}
