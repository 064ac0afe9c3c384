//! `proscenium query`: a view of a table, once.

use std::ops::Range;
use std::str::FromStr;

use arrow_flight::FlightClient;
use clap::{Args, ValueEnum};
use console::Term;

use super::error::CliError;
use super::get::{Page, ViewRequest};
use super::grid;
use super::output::{OutputFormat, RowWriter, Target, print};
use super::server::ServerArgs;
use super::view_flags::ViewArgs;

/// How many rows a table in the terminal has if nothing else is said.
const SHOWN_ROWS: usize = 50;

/// Arguments of `proscenium query`.
#[derive(Debug, Args)]
pub struct QueryArgs {
    #[command(flatten)]
    view: ViewArgs,
    #[command(flatten)]
    server: ServerArgs,
    /// Rows of the view, from 0: `0..50`, `100..`, `..10` [default: the first 50 in a table, else all].
    #[arg(long, short, value_name = "START..END")]
    rows: Option<RowRange>,
    /// Format of the output.
    #[arg(long, value_enum, default_value_t)]
    format: QueryFormat,
}

/// The format of a query's output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
enum QueryFormat {
    /// An aligned table.
    #[default]
    Table,
    Csv,
    Json,
    Ndjson,
    Arrow,
}

impl QueryFormat {
    /// The format of a writer; `None`: a table.
    fn output(self) -> Option<OutputFormat> {
        match self {
            QueryFormat::Table => None,
            QueryFormat::Csv => Some(OutputFormat::Csv),
            QueryFormat::Json => Some(OutputFormat::Json),
            QueryFormat::Ndjson => Some(OutputFormat::Ndjson),
            QueryFormat::Arrow => Some(OutputFormat::Arrow),
        }
    }
}

/// A range of rows as `START..END`; both may be absent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RowRange(pub(super) Range<usize>);

impl FromStr for RowRange {
    type Err = String;

    fn from_str(text: &str) -> Result<RowRange, String> {
        let bound = |text: &str, default: usize| match text.trim() {
            "" => Ok(default),
            text => text.parse().map_err(|_| format!("\"{text}\" is no number of a row")),
        };
        let (start, end) = text.split_once("..").ok_or("a range of rows is START..END, such as 0..50")?;
        // One row past the end is read to know whether rows follow.
        let (start, end) = (bound(start, 0)?, bound(end, usize::MAX - 1)?);
        match start <= end && end < usize::MAX {
            true => Ok(RowRange(start..end)),
            false => Err(format!("{start}..{end} ends before it starts")),
        }
    }
}

/// All rows.
pub(super) const ALL_ROWS: Range<usize> = 0..usize::MAX - 1;

pub(super) async fn run(args: QueryArgs) -> Result<(), CliError> {
    let wanted = args.view.wanted()?;
    let rows = args.rows.map(|RowRange(rows)| rows);
    match args.format.output() {
        Some(format) => {
            let target = Target::new(None, format)?;
            let mut client = args.server.connect().await?;
            write(&mut client, &wanted, rows.unwrap_or(ALL_ROWS), target, format).await.map(drop)
        }
        None => {
            let mut client = args.server.connect().await?;
            let rows = rows.unwrap_or(0..SHOWN_ROWS);
            let page = wanted.read(&mut client, rows.clone()).await?;
            let mut text = table(&page, Term::stdout().is_term().then(width))?;
            if page.has_more {
                let all = wanted.num_rows(&mut client).await?;
                text.push_str(&format!(
                    "(rows {}..{} of {all}; --rows shows others)\n",
                    rows.start, rows.end
                ));
            }
            print(&text)
        }
    }
}

/// The width of the terminal.
pub(super) fn width() -> usize {
    usize::from(Term::stdout().size().1)
}

/// Lays out a page.
pub(super) fn table(page: &Page, width: Option<usize>) -> Result<String, CliError> {
    Ok(grid::batches(&page.schema, &page.batches, width)?)
}

/// Writes rows of a view as they arrive. Returns how many there were.
pub(super) async fn write(
    client: &mut FlightClient,
    wanted: &ViewRequest,
    rows: Range<usize>,
    target: Target,
    format: OutputFormat,
) -> Result<usize, CliError> {
    let mut rows = wanted.open(client, rows).await?;
    let mut batch = rows.next().await?;
    let mut writer = RowWriter::begin(target, format, &rows.schema())?;
    while let Some(arrived) = batch {
        writer.write(&arrived)?;
        batch = rows.next().await?;
    }
    writer.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_have_optional_bounds() {
        let range = |text: &str| text.parse::<RowRange>().map(|RowRange(range)| range);
        assert_eq!(range("0..50"), Ok(0..50));
        assert_eq!(range("..7"), Ok(0..7));
        assert_eq!(range(".."), Ok(ALL_ROWS));
        assert_eq!(range("5..").map(|range| range.start), Ok(5));
        for (text, wrong) in [("7", "START..END"), ("a..7", "\"a\""), ("9..7", "ends before")] {
            assert!(range(text).unwrap_err().contains(wrong));
        }
    }
}
