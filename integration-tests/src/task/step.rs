//! Running one command, with a line that says what it is for and how long it took.
//!
//! Law: what a command printed is kept in a file, and shown only when it failed. A step that takes long says that it is
//! still at it.

use std::fs::File;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

use super::{Result, Tree};

/// How often a long step says that it is not over.
const SIGN_OF_LIFE: Duration = Duration::from_secs(30);

/// What a step ended with.
#[derive(Debug)]
pub struct Outcome {
    pub is_success: bool,
    /// All that it printed.
    pub output: String,
}

/// Runs `command` and says how it went; the caller decides what a failure means.
pub fn attempt(tree: &Tree, title: &str, command: &mut Command) -> Result<Outcome> {
    let log = log_file(tree, title)?;
    let name = command_name(command);
    let stdout = File::create(&log).map_err(|error| format!("{}: {error}", log.display()))?;
    let stderr = stdout.try_clone().map_err(|error| format!("{}: {error}", log.display()))?;
    print!("  {title} ");
    let _ = std::io::stdout().flush();
    let started = Instant::now();
    let spawned = command.stdin(Stdio::null()).stdout(stdout).stderr(stderr).spawn();
    let mut child = spawned.map_err(|error| format!("{title}: cannot run {name}: {error}"))?;
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || sender.send(child.wait()));
    let status = loop {
        match receiver.recv_timeout(SIGN_OF_LIFE) {
            Ok(status) => break status.map_err(|error| format!("{title}: {error}"))?,
            Err(RecvTimeoutError::Timeout) => {
                print!("… {} s ", started.elapsed().as_secs());
                let _ = std::io::stdout().flush();
            }
            Err(RecvTimeoutError::Disconnected) => return Err(format!("{title}: nobody waited for it")),
        }
    };
    let output = std::fs::read(&log).map_err(|error| format!("{}: {error}", log.display()))?;
    let output = String::from_utf8_lossy(&output).into_owned();
    let word = if status.success() { "ok" } else { "FAILED" };
    println!("{word} ({:.1} s)", started.elapsed().as_secs_f64());
    Ok(Outcome { is_success: status.success(), output })
}

/// Runs `command`, which the rest cannot do without: a failure shows what it printed.
pub fn must(tree: &Tree, title: &str, command: &mut Command) -> Result<String> {
    let outcome = attempt(tree, title, command)?;
    if outcome.is_success {
        Ok(outcome.output)
    } else {
        Err(format!("{}\n{title} failed: {}", outcome.output.trim_end(), command_name(command)))
    }
}

fn log_file(tree: &Tree, title: &str) -> Result<PathBuf> {
    let folder = tree.logs();
    std::fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let name: String = title.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    Ok(folder.join(format!("{name}.log")))
}

fn command_name(command: &Command) -> String {
    let mut words = vec![command.get_program().to_string_lossy().into_owned()];
    words.extend(command.get_args().map(|word| word.to_string_lossy().into_owned()));
    words.join(" ")
}
