//! The files of a load: arguments become files in a fixed order, and files become table data.
//!
//! Invariant: files are read by the code of `serve --table`, so formats, endings and errors are the same. A folder stands
//! for the files below it that have a known ending, by name; hidden files are passed over.

use std::io::Read;
use std::path::{Path, PathBuf};

use proscenium_engine::TableData;

use super::error::CliError;
use super::load::ReadArgs;
use crate::content_coding::Coding;
use crate::load_options::{CsvWords, Format};
use crate::source::{self, Source};
use crate::wire_errors;

/// The argument that means standard input.
const STDIN: &str = "-";

/// Data of a load.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Input {
    Stdin(Format),
    File { path: PathBuf, format: Format },
}

impl Input {
    /// The name in messages.
    pub(super) fn name(&self) -> String {
        match self {
            Input::Stdin(_) => "standard input".to_owned(),
            Input::File { path, .. } => path.display().to_string(),
        }
    }

    pub(super) fn format(&self) -> Format {
        match self {
            Input::Stdin(format) | Input::File { format, .. } => *format,
        }
    }

    /// Reads all of it. Blocks.
    pub(super) fn read(&self, table: &str, args: &ReadArgs) -> Result<TableData, CliError> {
        match self {
            Input::File { path, format } => {
                let source = Source {
                    name: table.to_owned(),
                    path: path.clone(),
                    format: Some(*format),
                    separator: args.separator.clone(),
                    decimal: args.decimal.clone(),
                    header: args.header,
                    ..Source::default()
                };
                Ok(source.read()?)
            }
            Input::Stdin(format) => {
                let mut bytes = Vec::new();
                std::io::stdin()
                    .lock()
                    .read_to_end(&mut bytes)
                    .map_err(|error| CliError::input(&self.name(), &error))?;
                self.decode(*format, args.csv(), bytes)
            }
        }
    }

    /// Converts bytes of this input.
    pub(super) fn decode(
        &self,
        format: Format,
        csv: CsvWords<'_>,
        bytes: Vec<u8>,
    ) -> Result<TableData, CliError> {
        source::decode(format, csv, bytes.into())
            .map_err(|error| CliError::input(&self.name(), &wire_errors::engine_text(&error)))
    }
}

/// Returns the inputs that arguments name, in their order.
///
/// # Errors
///
/// An argument names nothing, or something of unknown format.
pub(super) fn expand(arguments: &[String], format: Option<Format>) -> Result<Vec<Input>, CliError> {
    let mut inputs = Vec::new();
    for argument in arguments {
        let path = Path::new(argument);
        if argument == STDIN {
            let reason = "has no extension; add --format csv (or json, ndjson, arrow, parquet)";
            let format = format.ok_or_else(|| CliError::input(&"standard input", &reason))?;
            inputs.push(Input::Stdin(format));
        } else if path.is_dir() {
            let files = below(path, format)?;
            if files.is_empty() {
                return Err(CliError::input(argument, &"the folder has no file of a known format"));
            }
            inputs.extend(files);
        } else if path.exists() {
            inputs.push(file(path, format)?);
        } else {
            inputs.extend(matching(argument, format)?);
        }
    }
    match inputs.iter().filter(|input| matches!(input, Input::Stdin(_))).count() {
        0 | 1 => Ok(inputs),
        _ => Err(CliError::Usage("standard input can be read once only".to_owned())),
    }
}

/// The files that a pattern matches, by name.
fn matching(pattern: &str, format: Option<Format>) -> Result<Vec<Input>, CliError> {
    let is_pattern = pattern.contains(['*', '?', '[']);
    let mut inputs = Vec::new();
    if is_pattern {
        let paths = glob::glob(pattern).map_err(|error| CliError::input(&pattern, &error))?;
        for path in paths {
            let path = path.map_err(|error| CliError::input(&error.path().display(), error.error()))?;
            match path.is_dir() {
                true => inputs.extend(below(&path, format)?),
                false => inputs.push(file(&path, format)?),
            }
        }
    }
    match inputs.is_empty() {
        true if is_pattern => Err(CliError::input(&pattern, &"no file matches")),
        true => Err(CliError::input(&pattern, &"there is no such file")),
        false => Ok(inputs),
    }
}

fn file(path: &Path, format: Option<Format>) -> Result<Input, CliError> {
    let format = format.or_else(|| known_format(path)).ok_or_else(|| {
        let reason = "the extension determines no format; add --format csv (or json, ndjson, arrow, parquet)";
        CliError::input(&path.display(), &reason)
    })?;
    Ok(Input::File { path: path.to_owned(), format })
}

/// The files of known format in a folder and those in it.
fn below(folder: &Path, format: Option<Format>) -> Result<Vec<Input>, CliError> {
    let unreadable = |error: std::io::Error| CliError::input(&folder.display(), &error);
    let entries = std::fs::read_dir(folder).map_err(unreadable)?;
    let mut entries = entries.collect::<Result<Vec<_>, _>>().map_err(unreadable)?;
    entries.sort_by_key(std::fs::DirEntry::file_name);
    let mut inputs = Vec::new();
    for entry in entries {
        let (path, name) = (entry.path(), entry.file_name());
        let is_hidden = name.to_string_lossy().starts_with(['.', '_']);
        // A link to a folder is passed over: it may lead into a circle.
        let kind = entry.file_type().map_err(unreadable)?;
        if is_hidden {
            continue;
        }
        if kind.is_dir() {
            inputs.extend(below(&path, format)?);
        } else if let Some(known) = known_format(&path).filter(|_| path.is_file()) {
            inputs.push(Input::File { path, format: format.unwrap_or(known) });
        }
    }
    Ok(inputs)
}

/// The format that an ending names, also before that of a compression.
fn known_format(path: &Path) -> Option<Format> {
    let (inner, _) = Coding::of_path(path);
    source::format_of(&inner).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_patterns_and_files_become_files_in_order() {
        let folder = std::env::temp_dir().join(format!("proscenium-inputs-{}", std::process::id()));
        std::fs::create_dir_all(folder.join("b")).unwrap();
        for name in ["c.csv", "a.ndjson.gz", "notes.txt", ".hidden.csv", "b/part.parquet", "_tmp.csv"] {
            std::fs::write(folder.join(name), "").unwrap();
        }
        let names = |argument: &str, format| {
            let argument = folder.join(argument).display().to_string();
            let inputs = expand(&[argument], format).map_err(|error| error.to_string())?;
            let relative = |input: Input| input.name().replace(&format!("{}/", folder.display()), "");
            Ok::<_, String>(inputs.into_iter().map(relative).collect::<Vec<_>>())
        };
        assert_eq!(names("", None).unwrap(), ["a.ndjson.gz", "b/part.parquet", "c.csv"]);
        assert_eq!(names("?.*", None).unwrap(), ["a.ndjson.gz", "c.csv"]);
        assert_eq!(names("notes.txt", Some(Format::Csv)).unwrap(), ["notes.txt"]);
        for (argument, wrong) in
            [("notes.txt", "--format"), ("none.csv", "no such file"), ("*.xls", "no file matches")]
        {
            assert!(names(argument, None).unwrap_err().contains(wrong), "{argument}");
        }
        std::fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn standard_input_has_a_format_and_is_read_once() {
        let expand = |arguments: &[&str], format| {
            expand(&arguments.iter().map(|&argument| argument.to_owned()).collect::<Vec<_>>(), format)
        };
        assert_eq!(expand(&["-"], Some(Format::Json)).unwrap(), [Input::Stdin(Format::Json)]);
        assert!(expand(&["-"], None).unwrap_err().to_string().contains("--format"));
        assert!(expand(&["-", "-"], Some(Format::Csv)).unwrap_err().to_string().contains("once"));
    }
}
