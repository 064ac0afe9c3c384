//! `proscenium load --follow`: what is written to a growing CSV or NDJSON file is appended to the table.
//!
//! Invariant: only whole records are sent, each once and in order ([`WholeRecords`]). A
//! file that became shorter, or whose name now is another file's, is read from its start; of the old one the rest is
//! read first.

use std::fs::File;
use std::io::{ErrorKind, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::sync::mpsc;

use super::error::CliError;
use super::inputs::Input;
use super::load::Loading;
use super::whole_records::{NUMBERED_LINES, WholeRecords};
use crate::content_coding::Coding;
use crate::load_options::Format;
use crate::shutdown;

/// The most that is read before it is sent.
const PIECE_BYTES: usize = 8 << 20;

/// Checks that the inputs can be followed.
///
/// # Errors
///
/// There is more than one, it is compressed, or of a format that cannot be continued.
pub(super) fn check(inputs: &[Input]) -> Result<(), CliError> {
    let [input] = inputs else {
        return Err(CliError::Usage(format!("--follow takes one file, not {}", inputs.len())));
    };
    if !matches!(input.format(), Format::Csv | Format::Ndjson) {
        return Err(CliError::input(&input.name(), &"--follow is for CSV and NDJSON"));
    }
    match input {
        Input::File { path, .. } if Coding::of_path(path).1.is_some() => {
            Err(CliError::input(&input.name(), &"a compressed file cannot be followed"))
        }
        Input::File { .. } | Input::Stdin(_) => Ok(()),
    }
}

/// Sends what is there and what comes, until Ctrl-C or the end of standard input.
pub(super) async fn run(loading: &mut Loading<'_>, input: &Input, every: Duration) -> Result<(), CliError> {
    tokio::select! {
        ended = follow(loading, input, every) => ended,
        signal = shutdown::signal() => signal.map_err(CliError::System),
    }
}

async fn follow(loading: &mut Loading<'_>, input: &Input, every: Duration) -> Result<(), CliError> {
    let format = input.format();
    let csv = loading.args.read.csv();
    let separator = csv.separator.and_then(|separator| separator.bytes().next());
    let mut records = WholeRecords::new(format == Format::Csv, csv.header.unwrap_or(true), separator);
    let mut arrivals = match input {
        Input::File { path, .. } => Arrivals::File(GrowingFile::open(path)?),
        Input::Stdin(_) => Arrivals::Stdin(stdin()),
    };
    loop {
        let arrival = arrivals.next(every).await.map_err(|error| CliError::input(&input.name(), &error))?;
        let is_over = arrival.is_none();
        let (first_line, text) = match arrival {
            Some(Arrival::Bytes(bytes)) => records.push(&bytes),
            Some(Arrival::NewFile) | None => records.restart(),
        };
        if !text.is_empty() {
            let name = match first_line > NUMBERED_LINES {
                true => format!("{}, lines counted from {first_line}", input.name()),
                false => input.name(),
            };
            let data = input.decode(format, csv, text)?;
            loading.send(&name, data).await?;
            loading.progress.name(format!("following {}", input.name()));
        }
        if is_over {
            return Ok(());
        }
    }
}

/// What has come.
#[derive(Debug, PartialEq, Eq)]
enum Arrival {
    Bytes(Vec<u8>),
    /// What follows is the start of another file.
    NewFile,
}

enum Arrivals {
    File(GrowingFile),
    Stdin(mpsc::Receiver<std::io::Result<Vec<u8>>>),
}

impl Arrivals {
    /// Waits for what comes next; `None`: nothing will.
    async fn next(&mut self, every: Duration) -> std::io::Result<Option<Arrival>> {
        match self {
            Arrivals::Stdin(receiver) => Ok(receiver.recv().await.transpose()?.map(Arrival::Bytes)),
            Arrivals::File(file) => loop {
                if let Some(arrival) = file.poll()? {
                    return Ok(Some(arrival));
                }
                tokio::time::sleep(every).await;
            },
        }
    }
}

/// Reads standard input on a thread of its own, which ends with the process.
fn stdin() -> mpsc::Receiver<std::io::Result<Vec<u8>>> {
    let (sender, receiver) = mpsc::channel(1);
    std::thread::spawn(move || {
        let mut input = std::io::stdin().lock();
        let mut piece = vec![0; PIECE_BYTES];
        loop {
            let read = match input.read(&mut piece) {
                Ok(0) => return,
                Ok(len) => Ok(piece[..len].to_vec()),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => Err(error),
            };
            let is_over = read.is_err();
            if sender.blocking_send(read).is_err() || is_over {
                return;
            }
        }
    });
    receiver
}

/// A file that others write to.
struct GrowingFile {
    path: PathBuf,
    file: File,
    /// Where the next byte is read.
    position: u64,
}

impl GrowingFile {
    fn open(path: &Path) -> Result<GrowingFile, CliError> {
        let file = File::open(path).map_err(|error| CliError::input(&path.display(), &error))?;
        Ok(GrowingFile { path: path.to_owned(), file, position: 0 })
    }

    /// Reads what has come; `None`: nothing yet.
    fn poll(&mut self) -> std::io::Result<Option<Arrival>> {
        if self.file.metadata()?.len() < self.position {
            self.file.seek(SeekFrom::Start(0))?;
            self.position = 0;
            return Ok(Some(Arrival::NewFile));
        }
        let mut bytes = Vec::new();
        let len = (&self.file).take(PIECE_BYTES as u64).read_to_end(&mut bytes)?;
        if len > 0 {
            self.position += len as u64;
            return Ok(Some(Arrival::Bytes(bytes)));
        }
        match File::open(&self.path) {
            Ok(file) if is_other(&file, &self.file)? => {
                (self.file, self.position) = (file, 0);
                Ok(Some(Arrival::NewFile))
            }
            Ok(_) => Ok(None),
            // Between its renaming and its successor.
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}

#[cfg(unix)]
fn is_other(file: &File, than: &File) -> std::io::Result<bool> {
    use std::os::unix::fs::MetadataExt;
    let (file, than) = (file.metadata()?, than.metadata()?);
    Ok((file.dev(), file.ino()) != (than.dev(), than.ino()))
}

#[cfg(not(unix))]
fn is_other(_: &File, _: &File) -> std::io::Result<bool> {
    // There only a file that became shorter is noticed.
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_grows_shrinks_or_is_exchanged_is_read_on() {
        let path = std::env::temp_dir().join(format!("proscenium-follow-{}.csv", std::process::id()));
        let bytes = |text: &str| Some(Arrival::Bytes(text.into()));
        std::fs::write(&path, "a\n1\n").unwrap();
        let mut file = GrowingFile::open(&path).unwrap();
        assert_eq!(file.poll().unwrap(), bytes("a\n1\n"));
        assert_eq!(file.poll().unwrap(), None);
        std::fs::write(&path, "a\n").unwrap();
        assert_eq!(file.poll().unwrap(), Some(Arrival::NewFile));
        assert_eq!(file.poll().unwrap(), bytes("a\n"));
        if cfg!(unix) {
            let rotated = path.with_extension("csv.1");
            std::fs::rename(&path, &rotated).unwrap();
            assert_eq!(file.poll().unwrap(), None);
            std::fs::write(&rotated, "a\n2\n").unwrap();
            std::fs::write(&path, "b\n3\n").unwrap();
            assert_eq!(file.poll().unwrap(), bytes("2\n"), "the rest of the old file");
            assert_eq!(file.poll().unwrap(), Some(Arrival::NewFile));
            assert_eq!(file.poll().unwrap(), bytes("b\n3\n"));
            std::fs::remove_file(&rotated).unwrap();
        }
        std::fs::remove_file(&path).unwrap();
    }
}
