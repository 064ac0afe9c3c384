//! Tables loaded from files: the mapping of files to tables, and reading them.
//!
//! Invariant: the format is the given one, or else that of the file's extension. Errors name the file and the remedy.

mod parquet;

use std::path::{Path, PathBuf};
use std::str::FromStr;

use bytes::Bytes;
use bytestring::ByteString;
use proscenium_engine::error::DataError;
use proscenium_engine::{EngineError, MemoryAccount, TableData, TableOptions};
use serde::Deserialize;

use crate::content_coding::Coding;
use crate::json_form;
use crate::load_options::{CsvWords, Format, Lists, Visible};
use crate::setup_error::SetupError;

/// A file to host as a table: `name=path`, followed by options separated by commas. A comma within a value is written
/// `\,`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// Name of the table.
    pub name: String,
    /// Path of the file.
    pub path: PathBuf,
    /// Column that is the table's index; excludes `limit`.
    #[serde(default)]
    pub index: Option<String>,
    /// Maximum number of rows; excludes `index`.
    #[serde(default)]
    pub limit: Option<u32>,
    /// Format of the file; by default that of its extension.
    #[serde(default)]
    pub format: Option<Format>,
    /// How lists become rows or texts.
    #[serde(default)]
    pub lists: Option<Lists>,
    /// Field separator of a CSV; recognised if absent.
    #[serde(default)]
    pub separator: Option<String>,
    /// Decimal separator of a CSV, `.` by default.
    #[serde(default)]
    pub decimal: Option<String>,
    /// Whether a CSV has a header line, true by default.
    #[serde(default)]
    pub header: Option<bool>,
    /// When writes to it are visible, if it is durable; by default as `[storage]` says.
    #[serde(default)]
    pub visible: Option<Visible>,
    /// When the file is loaded, if the table outlives the server.
    #[serde(default)]
    pub load: LoadWhen,
}

/// When the file of a table is loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LoadWhen {
    /// When the table does not exist: it is not durable, or this is its first start.
    #[default]
    Missing,
    /// At each start; the rows of a table that exists are replaced.
    Always,
}

const USAGE: &str = "NAME=FILE[,index=COLUMN][,limit=ROWS][,format=FORMAT][,lists=zip|cartesian|stringify]\
    [,separator=CHARACTER][,decimal=.|\\,][,header=true|false]";

impl FromStr for Source {
    type Err = SetupError;

    fn from_str(text: &str) -> Result<Source, SetupError> {
        let wrong = |reason: String| SetupError::TableArgument { reason };
        let (name, rest) = text
            .split_once('=')
            .filter(|(name, _)| !name.is_empty())
            .ok_or_else(|| wrong(format!("\"{text}\" is not {USAGE}")))?;
        let mut parts = parts(rest).into_iter();
        let path = parts
            .next()
            .filter(|path| !path.is_empty())
            .ok_or_else(|| wrong(format!("\"{text}\" names no file")))?;
        let mut source = Source { name: name.to_owned(), path: path.into(), ..Source::default() };
        for part in parts {
            match part.split_once('=') {
                Some(("index", column)) => source.index = Some(column.to_owned()),
                Some(("limit", rows)) => {
                    let rows = rows
                        .parse()
                        .map_err(|_| wrong(format!("limit \"{rows}\" is not a number of rows")))?;
                    source.limit = Some(rows);
                }
                Some(("format", format)) => source.format = Some(format.parse()?),
                Some(("lists", lists)) => source.lists = Some(lists.parse()?),
                Some(("separator", separator)) => source.separator = Some(separator.to_owned()),
                Some(("decimal", decimal)) => source.decimal = Some(decimal.to_owned()),
                Some(("header", header)) => {
                    let header = header
                        .parse()
                        .map_err(|_| wrong(format!("header \"{header}\" is neither true nor false")))?;
                    source.header = Some(header);
                }
                _ => return Err(wrong(format!("\"{part}\" is none of the options in {USAGE}"))),
            }
        }
        source.check()?;
        Ok(source)
    }
}

/// Splits at commas; `\,` is a literal comma.
fn parts(text: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut rest = text.chars().peekable();
    while let Some(character) = rest.next() {
        let is_escaped = character == '\\' && rest.next_if_eq(&',').is_some();
        match parts.last_mut() {
            Some(part) if is_escaped => part.push(','),
            Some(part) if character != ',' => part.push(character),
            _ => parts.push(String::new()),
        }
    }
    parts
}

impl Source {
    /// Checks the options.
    ///
    /// # Errors
    ///
    /// Names the table, and the invalid option or the options that exclude each other.
    pub fn check(&self) -> Result<(), SetupError> {
        let wrong =
            |reason: &str| Err(SetupError::Table { table: self.name.clone(), reason: reason.to_owned() });
        if self.name.is_empty() {
            return wrong("a table has an empty name");
        }
        if self.path.as_os_str().is_empty() {
            return wrong("names no file");
        }
        if self.index.is_some() && self.limit.is_some() {
            return wrong("has both an index and a limit; choose one");
        }
        if self.index.as_deref() == Some("") {
            return wrong("the index is the name of a column; leave it out for a table without index");
        }
        if self.limit == Some(0) {
            return wrong("a limit of 0 rows keeps none; leave it out for a table without limit");
        }
        match self.format {
            Some(format) => self.csv().options(format).map(drop),
            None => self.csv().options(Format::Csv).map(drop),
        }
        .map_err(|error| SetupError::Table { table: self.name.clone(), reason: error.to_string() })
    }

    fn csv(&self) -> CsvWords<'_> {
        CsvWords {
            separator: self.separator.as_deref(),
            decimal: self.decimal.as_deref(),
            header: self.header,
        }
    }

    /// Returns the options of the new table.
    pub fn options(&self) -> TableOptions {
        TableOptions {
            index: self.index.clone(),
            limit: self.limit,
            list_flatten: self.lists.unwrap_or_default().0,
        }
    }

    /// Reads the file. Blocks the calling thread.
    ///
    /// # Errors
    ///
    /// If the file cannot be read, decompressed or opened in its format; names the file and the table.
    pub fn read(&self) -> Result<TableData, SetupError> {
        let unreadable = |reason: String| SetupError::Unreadable {
            path: self.path.clone(),
            table: Some(self.name.clone()),
            reason,
        };
        let (inner, coding) = Coding::of_path(&self.path);
        let format = match self.format {
            Some(format) => format,
            None => format_of(&inner)?,
        };
        let bytes = std::fs::read(&self.path).map_err(|error| unreadable(error.to_string()))?;
        let bytes = match coding {
            // The operator's own file, which is held in memory as a whole like any other.
            Some(coding) => coding
                .decode(&bytes, usize::MAX, &MemoryAccount::unlimited())
                .map_err(|error| unreadable(error.to_string()))?,
            None => bytes.into(),
        };
        decode(format, self.csv(), bytes).map_err(|fault| SetupError::Load {
            path: self.path.clone(),
            table: self.name.clone(),
            fault: Box::new(fault.into()),
        })
    }
}

/// The format that a file's extension determines.
///
/// # Errors
///
/// It determines none.
pub fn format_of(path: &Path) -> Result<Format, SetupError> {
    let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or("");
    ending.parse().map_err(|_| SetupError::UnknownExtension { path: path.to_owned() })
}

/// Converts the bytes of a file or a request body to table data.
///
/// # Errors
///
/// If the bytes are no text where one is required, or no Parquet file, or CSV options are given for another format.
pub fn decode(format: Format, csv: CsvWords<'_>, bytes: Bytes) -> Result<TableData, EngineError> {
    let csv = csv.options(format)?;
    let text = |bytes: Bytes| {
        ByteString::try_from(bytes).map_err(|error| {
            let reason = format!("wrong at byte {}", error.valid_up_to());
            EngineError::from(DataError::NotUtf8 { reason })
        })
    };
    Ok(match format {
        Format::Csv => TableData::Delimited(text(bytes)?.into_bytes(), csv),
        Format::Ndjson => TableData::Ndjson(text(bytes)?),
        Format::Arrow => TableData::Arrow(bytes),
        Format::Json => {
            let text = text(bytes)?;
            if json_form::is_columns(&text) { TableData::Columns(text) } else { TableData::Rows(text) }
        }
        Format::Parquet => parquet::open(bytes)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_named_on_the_command_line() {
        let source: Source = "trades=data/trades.csv,index=id".parse().unwrap();
        assert_eq!((source.name.as_str(), source.index.as_deref()), ("trades", Some("id")));
        assert_eq!(source.path, PathBuf::from("data/trades.csv"));
        for (text, wrong) in [
            ("trades", "NAME=FILE"),
            ("=a.csv", "NAME=FILE"),
            ("t=", "names no file"),
            ("t=a.csv,limit=many", "limit \"many\""),
            ("t=a.csv,index=a,limit=3", "both"),
            ("t=a.csv,colour=red", "colour=red"),
            ("t=a,format=xls", "xls"),
        ] {
            let error = text.parse::<Source>().unwrap_err().to_string();
            assert!(error.contains(wrong), "{text}: {error}");
        }
    }

    #[test]
    fn the_extension_determines_the_format() {
        assert_eq!(format_of(Path::new("a.CSV")), Ok(Format::Csv));
        assert_eq!(format_of(Path::new("a.jsonl")), Ok(Format::Ndjson));
        assert!(format_of(Path::new("a")).unwrap_err().to_string().contains("format=csv"));
    }

    #[test]
    fn options_follow_commas() {
        let source: Source =
            r"t=a\,b.txt,format=csv,separator=\,,lists=cartesian,header=false".parse().unwrap();
        assert_eq!(source.path, PathBuf::from("a,b.txt"));
        assert_eq!((source.separator.as_deref(), source.header), (Some(","), Some(false)));
        assert_eq!(source.options().list_flatten, proscenium_engine::ListFlatten::Cartesian);
        let source: Source = r"t=C:\data\x.csv,separator=;,decimal=\,,index=id".parse().unwrap();
        assert_eq!(source.path, PathBuf::from(r"C:\data\x.csv"));
        assert_eq!((source.separator.as_deref(), source.decimal.as_deref()), (Some(";"), Some(",")));
        for (text, wrong) in [
            ("t=a.csv,header=no", "header \"no\""),
            ("t=a.csv,lists=all", "lists \"all\""),
            ("t=a.csv,separator=ab", "separator \"ab\""),
            ("t=a.json,format=json,separator=;", "CSV"),
        ] {
            let error = text.parse::<Source>().unwrap_err().to_string();
            assert!(error.contains(wrong), "{text}: {error}");
        }
    }

    #[test]
    fn json_is_rows_or_columns() {
        let decode = |format, bytes: Bytes| decode(format, CsvWords::default(), bytes);
        assert!(matches!(decode(Format::Json, " [{}]".into()), Ok(TableData::Rows(_))));
        assert!(matches!(decode(Format::Json, "{\"a\":[1]}".into()), Ok(TableData::Columns(_))));
        assert!(matches!(decode(Format::Json, "\u{feff}{\"a\":[1]}".into()), Ok(TableData::Columns(_))));
        assert!(matches!(decode(Format::Json, "{\"a\":[1],\"b\":2}".into()), Ok(TableData::Rows(_))));
        assert!(decode(Format::Csv, vec![b'a', 0xff].into()).unwrap_err().to_string().contains("byte 1"));
    }
}
