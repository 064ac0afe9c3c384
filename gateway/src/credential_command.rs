//! The commands that make users and keys for the configuration. They use no server.
//!
//! Invariant: a password comes from the terminal or standard input, never from the command line, which other users of the
//! machine see. A file is changed only by an entry at its end, and only if the result is a valid configuration.

use std::fmt::Write as _;
use std::io::{BufRead, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand};
use console::Term;

use crate::auth::{keys, passwords};
use crate::settings;
use crate::setup_error::SetupError;

/// A command about users.
#[derive(Debug, Subcommand)]
pub enum UserCommand {
    /// Hashes a password, which is asked for or read from standard input, and prints the user's entry.
    Add(EntryArgs),
}

/// A command about keys.
#[derive(Debug, Subcommand)]
pub enum KeyCommand {
    /// Makes a key for a program, which is shown once, and prints its entry, which holds a hash of it.
    New(EntryArgs),
}

/// An entry of the configuration.
#[derive(Debug, Args)]
pub struct EntryArgs {
    /// The name, as it appears in the audit.
    name: String,
    /// A role; may be repeated.
    #[arg(long = "role", value_name = "ROLE")]
    roles: Vec<String>,
    /// A claim for row filters; may be repeated.
    #[arg(long = "claim", value_name = "NAME=VALUE", value_parser = claim)]
    claims: Vec<(String, String)>,
    /// Adds the entry to this configuration file instead of printing it; a running server takes it over.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

fn claim(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("a claim is NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

/// Runs a command about users.
pub fn run_user(command: UserCommand) -> ExitCode {
    let UserCommand::Add(args) = command;
    let added = read_password().and_then(|password| {
        args.finish("user", "password", &passwords::hash(&password))?;
        Ok(())
    });
    exit(added)
}

/// Runs a command about keys.
pub fn run_key(command: KeyCommand) -> ExitCode {
    let KeyCommand::New(args) = command;
    let (key, hash) = keys::new_key();
    let made = args.finish("key", "hash", &hash).map(|is_printed| {
        // Beside an entry that is printed, the key does not belong to what may be redirected into the configuration.
        if is_printed {
            let _ = writeln!(std::io::stderr(), "the key, which is not shown again: {key}");
        } else {
            let _ = writeln!(std::io::stdout(), "{key}");
        }
    });
    exit(made)
}

fn exit(result: Result<(), String>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "proscenium: {error}");
            ExitCode::FAILURE
        }
    }
}

fn read_password() -> Result<String, String> {
    let text = |error: std::io::Error| error.to_string();
    let terminal = Term::stderr();
    let password = if std::io::stdin().is_terminal() {
        terminal.write_str("Password: ").map_err(text)?;
        let password = terminal.read_secure_line().map_err(text)?;
        terminal.write_str("Again: ").map_err(text)?;
        if terminal.read_secure_line().map_err(text)? != password {
            return Err("the two passwords differ".to_owned());
        }
        password
    } else {
        let mut line = String::new();
        std::io::stdin().lock().read_line(&mut line).map_err(text)?;
        line.trim_end_matches(['\r', '\n']).to_owned()
    };
    if password.is_empty() { Err("the password is empty".to_owned()) } else { Ok(password) }
}

impl EntryArgs {
    fn entry(&self, kind: &str, secret_key: &str, secret: &str) -> String {
        let text = |text: &str| toml::Value::from(text).to_string();
        let list: Vec<String> = self.roles.iter().map(|role| text(role)).collect();
        let mut entry =
            format!("[[auth.{kind}]]\nname = {}\n{secret_key} = {}\n", text(&self.name), text(secret));
        let _ = writeln!(entry, "roles = [{}]", list.join(", "));
        if !self.claims.is_empty() {
            let claims = self.claims.iter().map(|(name, value)| format!("{} = {}", text(name), text(value)));
            let _ = writeln!(entry, "claims = {{ {} }}", claims.collect::<Vec<_>>().join(", "));
        }
        entry
    }

    /// Prints the entry, or adds it to the file. Returns whether it was printed.
    fn finish(&self, kind: &str, secret_key: &str, secret: &str) -> Result<bool, String> {
        let entry = self.entry(kind, secret_key, secret);
        match &self.config {
            Some(path) => add(path, &entry).map(|()| false).map_err(|error| error.to_string()),
            None => {
                settings::check_text(&entry).map_err(|error| error.to_string())?;
                std::io::stdout().write_all(entry.as_bytes()).map_err(|error| error.to_string())?;
                Ok(true)
            }
        }
    }
}

/// Adds an entry at the end of a configuration file.
fn add(path: &Path, entry: &str) -> Result<(), SetupError> {
    let unwritable = |error: std::io::Error| SetupError::Unreadable {
        path: path.to_owned(),
        table: None,
        reason: error.to_string(),
    };
    let before = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(unwritable(error)),
    };
    let separator = if before.is_empty() || before.ends_with("\n\n") { "" } else { "\n" };
    let after = format!("{before}{separator}{entry}");
    settings::check_text(&after)?;
    // Whole or not at all: a server may read it at any time.
    let mut written = path.as_os_str().to_owned();
    written.push(".new");
    std::fs::write(&written, after).map_err(unwritable)?;
    if let Ok(metadata) = std::fs::metadata(path) {
        std::fs::set_permissions(&written, metadata.permissions()).map_err(unwritable)?;
    }
    std::fs::rename(&written, path).map_err(unwritable)
}
