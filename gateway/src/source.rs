//! Tables from files: which file becomes which table, and reading it.
//!
//! Law: the format is the file's ending or the one that is named; errors name the file and what to do.

mod parquet;

use std::path::{Path, PathBuf};
use std::str::FromStr;

use bytes::Bytes;
use bytestring::ByteString;
use proscenium_engine::{TableData, TableOptions};
use serde::Deserialize;

/// One table to host: `name=path[,index=column][,limit=rows][,format=csv]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    pub name: String,
    pub path: PathBuf,
    #[serde(default)]
    pub index: Option<String>,
    #[serde(default)]
    pub limit: Option<u32>,
    #[serde(default)]
    pub format: Option<Format>,
}

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
    type Err = String;

    fn from_str(word: &str) -> Result<Format, String> {
        match word.to_ascii_lowercase().as_str() {
            "csv" => Ok(Format::Csv),
            "json" => Ok(Format::Json),
            "ndjson" | "jsonl" => Ok(Format::Ndjson),
            "arrow" | "arrows" | "ipc" | "feather" => Ok(Format::Arrow),
            "parquet" => Ok(Format::Parquet),
            other => Err(format!("unknown format \"{other}\"; known are csv, json, ndjson, arrow, parquet")),
        }
    }
}

impl FromStr for Source {
    type Err = String;

    fn from_str(text: &str) -> Result<Source, String> {
        let (name, rest) = text.split_once('=').filter(|(name, _)| !name.is_empty()).ok_or_else(|| {
            format!("\"{text}\" is not NAME=FILE[,index=COLUMN][,limit=ROWS][,format=FORMAT]")
        })?;
        let mut parts = rest.split(',');
        let path = parts
            .next()
            .filter(|path| !path.is_empty())
            .ok_or_else(|| format!("\"{text}\" names no file"))?;
        let mut source =
            Source { name: name.to_owned(), path: path.into(), index: None, limit: None, format: None };
        for part in parts {
            match part.split_once('=') {
                Some(("index", column)) => source.index = Some(column.to_owned()),
                Some(("limit", rows)) => {
                    let rows =
                        rows.parse().map_err(|_| format!("limit \"{rows}\" is not a number of rows"))?;
                    source.limit = Some(rows);
                }
                Some(("format", format)) => source.format = Some(format.parse()?),
                _ => return Err(format!("\"{part}\" is none of index=COLUMN, limit=ROWS, format=FORMAT")),
            }
        }
        if source.index.is_some() && source.limit.is_some() {
            return Err(format!("table \"{name}\" has both an index and a limit; choose one"));
        }
        Ok(source)
    }
}

impl Source {
    pub fn options(&self) -> TableOptions {
        TableOptions { index: self.index.clone(), limit: self.limit, ..TableOptions::default() }
    }

    /// Reads the file. Blocks.
    pub fn read(&self) -> Result<TableData, String> {
        let format = match self.format {
            Some(format) => format,
            None => format_of(&self.path)?,
        };
        let bytes = std::fs::read(&self.path).map_err(|error| {
            format!("cannot read {} for table \"{}\": {error}", self.path.display(), self.name)
        })?;
        decode(format, bytes.into()).map_err(|error| {
            format!("cannot load {} as table \"{}\": {error}", self.path.display(), self.name)
        })
    }
}

fn format_of(path: &Path) -> Result<Format, String> {
    let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or("");
    ending.parse().map_err(|_| {
        format!(
            "{}: the ending says no format; add format=csv (or json, ndjson, arrow, parquet)",
            path.display()
        )
    })
}

/// Bytes of a file or a request body as table data.
pub fn decode(format: Format, bytes: Bytes) -> Result<TableData, String> {
    let text = |bytes: Bytes| {
        ByteString::try_from(bytes).map_err(|error| format!("not UTF-8 at byte {}", error.valid_up_to()))
    };
    Ok(match format {
        Format::Csv => TableData::Csv(text(bytes)?.into_bytes()),
        Format::Ndjson => TableData::Ndjson(text(bytes)?),
        Format::Arrow => TableData::Arrow(bytes),
        Format::Json => {
            let text = text(bytes)?;
            match text.trim_start().as_bytes().first() {
                Some(b'{') => TableData::Columns(text),
                _ => TableData::Rows(text),
            }
        }
        Format::Parquet => parquet::open(bytes).map_err(|error| error.to_string())?,
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
            let error = text.parse::<Source>().unwrap_err();
            assert!(error.contains(wrong), "{text}: {error}");
        }
    }

    #[test]
    fn the_ending_says_the_format() {
        assert_eq!(format_of(Path::new("a.CSV")), Ok(Format::Csv));
        assert_eq!(format_of(Path::new("a.jsonl")), Ok(Format::Ndjson));
        assert!(format_of(Path::new("a")).unwrap_err().contains("format=csv"));
    }

    #[test]
    fn json_is_rows_or_columns() {
        assert!(matches!(decode(Format::Json, " [{}]".into()), Ok(TableData::Rows(_))));
        assert!(matches!(decode(Format::Json, "{\"a\":[1]}".into()), Ok(TableData::Columns(_))));
        assert!(decode(Format::Csv, vec![b'a', 0xff].into()).unwrap_err().contains("byte 1"));
    }
}
