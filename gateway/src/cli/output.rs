//! Rows to a file or to standard output, in a format.
//!
//! Invariant: texts are those of the server's own downloads, days and times as text. A file is complete or not there: it
//! is written beside its place and moved when it is whole.

use std::fs::File;
use std::io::{BufWriter, IsTerminal, Write};
use std::path::{Path, PathBuf};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::ipc::writer::StreamWriter;
use clap::ValueEnum;
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::file::properties::WriterProperties;
use proscenium_engine::export::{self, JsonOptions, Naming, RowSlice, SliceColumn, WindowKind};

use super::error::CliError;

/// The format of rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum OutputFormat {
    Csv,
    /// An array of objects.
    Json,
    /// An object per line.
    Ndjson,
    /// An Arrow IPC stream.
    Arrow,
    Parquet,
}

impl OutputFormat {
    /// The format that a file's ending names.
    pub(super) fn of_path(path: &Path) -> Option<OutputFormat> {
        let ending = path.extension()?.to_str()?.to_ascii_lowercase();
        match ending.as_str() {
            "csv" => Some(OutputFormat::Csv),
            "json" => Some(OutputFormat::Json),
            "ndjson" | "jsonl" => Some(OutputFormat::Ndjson),
            "arrow" | "arrows" | "ipc" => Some(OutputFormat::Arrow),
            "parquet" => Some(OutputFormat::Parquet),
            _ => None,
        }
    }

    fn is_binary(self) -> bool {
        matches!(self, OutputFormat::Arrow | OutputFormat::Parquet)
    }
}

const STDOUT: &str = "standard output";

/// Prints a text to standard output.
pub(super) fn print(text: &str) -> Result<(), CliError> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(|source| unwritable(STDOUT, source))
}

fn unwritable(name: &str, source: std::io::Error) -> CliError {
    CliError::Output { name: name.to_owned(), source }
}

/// Where rows go.
#[derive(Debug)]
pub(super) struct Target {
    /// The place, and the file beside it that is written; `None`: standard output.
    file: Option<(PathBuf, PathBuf)>,
}

impl Target {
    /// Checks that rows of this format can go there.
    pub(super) fn new(path: Option<PathBuf>, format: OutputFormat) -> Result<Target, CliError> {
        if path.is_none() && format.is_binary() && std::io::stdout().is_terminal() {
            let text = "Arrow and Parquet are no texts for a terminal; redirect the output to a file";
            return Err(CliError::Usage(text.to_owned()));
        }
        let beside = |path: PathBuf| {
            let mut name = path.file_name().unwrap_or_default().to_owned();
            name.push(format!(".{}.part", std::process::id()));
            (path.with_file_name(name), path)
        };
        Ok(Target { file: path.map(beside).map(|(part, path)| (path, part)) })
    }

    fn name(&self) -> String {
        self.file.as_ref().map_or_else(|| STDOUT.to_owned(), |(path, _)| path.display().to_string())
    }

    fn open(&self) -> Result<Box<dyn Write + Send>, CliError> {
        match &self.file {
            None => Ok(Box::new(BufWriter::new(std::io::stdout()))),
            Some((_, part)) => match File::create(part) {
                Ok(file) => Ok(Box::new(BufWriter::new(file))),
                Err(source) => Err(unwritable(&self.name(), source)),
            },
        }
    }

    fn complete(&self) -> Result<(), CliError> {
        match &self.file {
            None => Ok(()),
            Some((path, part)) => {
                std::fs::rename(part, path).map_err(|source| unwritable(&self.name(), source))
            }
        }
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        if let Some((_, part)) = &self.file {
            // It is there only if the rows did not all arrive.
            let _ = std::fs::remove_file(part);
        }
    }
}

/// Writes rows to a target.
pub(super) struct RowWriter {
    format: RowFormat,
    num_rows: usize,
    target: Target,
}

enum RowFormat {
    /// The output, the format, and the length of what comes before the rows of each slice, once it is known.
    Text(Box<dyn Write + Send>, OutputFormat),
    Arrow(Box<StreamWriter<Box<dyn Write + Send>>>),
    Parquet(Box<ArrowWriter<Box<dyn Write + Send>>>),
}

impl RowWriter {
    /// Begins the output of rows of this schema.
    pub(super) fn begin(
        target: Target,
        format: OutputFormat,
        schema: &SchemaRef,
    ) -> Result<RowWriter, CliError> {
        let out = target.open()?;
        let format = match format {
            OutputFormat::Arrow => RowFormat::Arrow(Box::new(StreamWriter::try_new(out, schema)?)),
            OutputFormat::Parquet => {
                let properties = WriterProperties::builder().set_compression(Compression::SNAPPY).build();
                let writer = ArrowWriter::try_new(out, schema.clone(), Some(properties));
                RowFormat::Parquet(Box::new(writer.map_err(CliError::Parquet)?))
            }
            format => RowFormat::Text(out, format),
        };
        let mut writer = RowWriter { format, num_rows: 0, target };
        writer.write_text(|format, _| match format {
            OutputFormat::Csv => header(schema),
            OutputFormat::Json => "[".to_owned(),
            _ => String::new(),
        })?;
        Ok(writer)
    }

    pub(super) fn write(&mut self, batch: &RecordBatch) -> Result<(), CliError> {
        match &mut self.format {
            RowFormat::Arrow(writer) => writer.write(batch)?,
            RowFormat::Parquet(writer) => writer.write(batch).map_err(CliError::Parquet)?,
            RowFormat::Text(..) => self.write_text(|format, is_first| rows(batch, format, is_first))?,
        }
        self.num_rows += batch.num_rows();
        Ok(())
    }

    /// Ends the output; a file is then in its place. Returns the number of rows.
    pub(super) fn finish(mut self) -> Result<usize, CliError> {
        self.write_text(|format, is_first| match format {
            OutputFormat::Json if is_first => "]\n".to_owned(),
            OutputFormat::Json => "\n]\n".to_owned(),
            _ => String::new(),
        })?;
        let name = self.target.name();
        let mut out = match self.format {
            RowFormat::Text(out, _) => out,
            RowFormat::Arrow(writer) => writer.into_inner()?,
            RowFormat::Parquet(writer) => writer.into_inner().map_err(CliError::Parquet)?,
        };
        out.flush().map_err(|source| unwritable(&name, source))?;
        self.target.complete()?;
        Ok(self.num_rows)
    }

    fn write_text(&mut self, text: impl FnOnce(OutputFormat, bool) -> String) -> Result<(), CliError> {
        if let RowFormat::Text(out, format) = &mut self.format {
            let text = text(*format, self.num_rows == 0);
            let written = out.write_all(text.as_bytes());
            written.map_err(|source| unwritable(&self.target.name(), source))?;
        }
        Ok(())
    }
}

fn header(schema: &SchemaRef) -> String {
    export::csv(&slice(&RecordBatch::new_empty(schema.clone())), Naming::Readable)
}

/// The rows of a batch in a format of texts, without what stands around all rows.
fn rows(batch: &RecordBatch, format: OutputFormat, is_first: bool) -> String {
    let slice = slice(batch);
    let json = JsonOptions { formatted: true, ..JsonOptions::default() };
    match format {
        OutputFormat::Csv => {
            let mut text = export::csv(&slice, Naming::Readable);
            text.drain(..header(&batch.schema()).len());
            text
        }
        OutputFormat::Json => {
            let text = export::ndjson(&slice, json);
            let mut out = String::with_capacity(text.len() + batch.num_rows());
            for (position, row) in text.lines().enumerate() {
                out.push_str(if is_first && position == 0 { "\n" } else { ",\n" });
                out.push_str(row);
            }
            out
        }
        _ => {
            let mut text = export::ndjson(&slice, json);
            if !text.is_empty() && !text.ends_with('\n') {
                text.push('\n');
            }
            text
        }
    }
}

fn slice(batch: &RecordBatch) -> RowSlice {
    let schema = batch.schema();
    let columns = schema.fields().iter().zip(batch.columns()).map(|(field, values)| {
        let name: std::sync::Arc<str> = field.name().as_str().into();
        SliceColumn { name: name.clone(), readable_name: name, values: values.clone() }
    });
    RowSlice {
        kind: WindowKind::Flat,
        num_rows: batch.num_rows(),
        columns: columns.collect(),
        row_paths: None,
        keys: None,
        member_keys: None,
    }
}
