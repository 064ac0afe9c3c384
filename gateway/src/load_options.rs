//! How data are read and stored, as spelled in HTTP, Flight, the command line and the configuration.

use std::str::FromStr;

use proscenium_engine::error::DataError;
use proscenium_engine::{CsvOptions, EngineError, ListFlatten};
use serde::{Deserialize, Deserializer};

/// The format of a file or of an upload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    Csv,
    Json,
    Ndjson,
    Arrow,
    Parquet,
}

impl FromStr for Format {
    type Err = EngineError;

    fn from_str(word: &str) -> Result<Format, EngineError> {
        match word.to_ascii_lowercase().as_str() {
            "csv" | "tsv" => Ok(Format::Csv),
            "json" => Ok(Format::Json),
            "ndjson" | "jsonl" => Ok(Format::Ndjson),
            "arrow" | "arrows" | "ipc" | "feather" => Ok(Format::Arrow),
            "parquet" => Ok(Format::Parquet),
            other => {
                let reason =
                    format!("unknown format \"{other}\"; known are csv, json, ndjson, arrow, parquet");
                Err(DataError::FormatOption { reason }.into())
            }
        }
    }
}

/// How lists become rows or texts: `zip`, `cartesian` or `stringify`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Lists(pub ListFlatten);

impl FromStr for Lists {
    type Err = EngineError;

    fn from_str(word: &str) -> Result<Lists, EngineError> {
        word.parse().map(Lists)
    }
}

impl<'de> Deserialize<'de> for Lists {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Lists, D::Error> {
        let word = String::deserialize(deserializer)?;
        word.parse().map_err(serde::de::Error::custom)
    }
}

/// The dialect of a CSV, as far as the sender gave it.
#[derive(Debug, Clone, Copy, Default)]
pub struct CsvWords<'a> {
    /// One character; recognised if absent.
    pub separator: Option<&'a str>,
    /// Decimal separator: `.` or `,`.
    pub decimal: Option<&'a str>,
    /// Whether the first line is a header.
    pub header: Option<bool>,
}

impl CsvWords<'_> {
    /// Parses the options.
    ///
    /// # Errors
    ///
    /// Names the invalid option, or reports that options are given for data that are not CSV.
    pub fn options(self, format: Format) -> Result<CsvOptions, EngineError> {
        let is_given = self.separator.is_some() || self.decimal.is_some() || self.header.is_some();
        if is_given && format != Format::Csv {
            let reason = "separator, decimal and header are for CSV".to_owned();
            return Err(DataError::FormatOption { reason }.into());
        }
        CsvOptions::new(self.separator, self.decimal, self.header)
    }
}

/// When a write is applied, and its subscribers are notified. Its answer always waits until it is durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
pub enum Visible {
    /// Once it is durable.
    #[default]
    #[serde(rename = "when durable")]
    WhenDurable,
    /// At once; it may be taken back if the disk refuses it or the server ends.
    #[serde(rename = "at once")]
    AtOnce,
}

/// The effect of a load on a table that exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LoadEffect {
    /// Adds rows, merged by index if the table has one.
    Update,
    /// Replaces all rows.
    Replace,
    /// Removes rows by key. A table that does not exist is not created.
    Remove,
}
