//! The commands about a data directory: check, repair, back up. They use no server.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Subcommand;
use proscenium_actors::data_directory::DataError;
use proscenium_actors::data_directory::maintenance::{self, CheckReport, Damage};

/// A command about a data directory.
#[derive(Debug, Subcommand)]
pub enum DataCommand {
    /// Reads everything, writes nothing, and says what is there or what is damaged and where.
    Check {
        /// The data directory, which no server uses.
        dir: PathBuf,
    },
    /// Drops a damaged newest checkpoint if the one before is whole; with --until, also the end of the log. What is dropped is
    /// moved to the folder `removed`.
    Repair {
        /// The data directory, which no server uses.
        dir: PathBuf,
        /// Drops the records of the log from this number on, as `data check` names it.
        #[arg(long, value_name = "POSITION")]
        until: Option<u64>,
    },
    /// Copies the state to a new directory, on which a server starts; also while a server uses it.
    Backup {
        /// The data directory.
        dir: PathBuf,
        /// A new or empty directory.
        target: PathBuf,
    },
}

/// Runs a command. The exit code is 1 if the directory is damaged or cannot be used.
pub fn run(command: DataCommand) -> ExitCode {
    let ran = match command {
        DataCommand::Check { dir } => maintenance::check(&dir).map(|checked| match checked {
            Ok(report) => (ExitCode::SUCCESS, describe(&report)),
            Err(damage) => (ExitCode::FAILURE, describe_damage(&damage)),
        }),
        DataCommand::Repair { dir, until } => repair(&dir, until),
        DataCommand::Backup { dir, target } => {
            maintenance::backup(&dir, &target).map(|report| (ExitCode::SUCCESS, describe(&report)))
        }
    };
    match ran {
        Ok((code, text)) => {
            let _ = writeln!(std::io::stdout(), "{}", text.join("\n"));
            code
        }
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "proscenium: {error}");
            ExitCode::FAILURE
        }
    }
}

fn repair(dir: &std::path::Path, until: Option<u64>) -> Result<(ExitCode, Vec<String>), DataError> {
    let mut text = maintenance::repair(dir, until)?;
    if text.is_empty() {
        text.push("nothing was repaired".to_owned());
    }
    Ok(match maintenance::check(dir)? {
        Ok(report) => (ExitCode::SUCCESS, [text, describe(&report)].concat()),
        Err(damage) => (ExitCode::FAILURE, [text, describe_damage(&damage)].concat()),
    })
}

fn describe(report: &CheckReport) -> Vec<String> {
    let mut text = vec![format!("whole: {} tables, epoch {}", report.tables.len(), report.epoch)];
    for (name, version, rows) in &report.tables {
        text.push(format!("  {name}: version {version}, {rows} rows"));
    }
    for name in &report.derived {
        text.push(format!("  {name}: follows other tables"));
    }
    if let Some((file, byte, bytes)) = &report.cut {
        text.push(format!(
            "the last write was torn: the next start cuts {bytes} bytes at byte {byte} of {file}"
        ));
    }
    text
}

fn describe_damage(damage: &Damage) -> Vec<String> {
    let mut text = vec![format!("damaged: {}", damage.error)];
    if damage.has_older_checkpoint {
        text.push("the checkpoint before the newest is whole: `data repair DIR` loses nothing".to_owned());
    } else if let Some(until) = damage.log_until {
        text.push(format!(
            "the log can be read up to record {until}: `data repair DIR --until {until}` drops what follows"
        ));
    } else {
        text.push("it cannot be repaired: start from a backup".to_owned());
    }
    text
}
