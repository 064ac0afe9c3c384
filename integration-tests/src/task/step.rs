//! Runs a command as a step, with one line for its title, its result and its duration.
//!
//! Invariant: a command's output is written to a file and shown only if the command fails. A long step reports its
//! progress.

use std::fs::File;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

use super::{Result, Tree};

/// Interval at which a long step reports its progress.
const SIGN_OF_LIFE: Duration = Duration::from_secs(30);

/// The result of a step.
#[derive(Debug)]
pub struct Outcome {
    pub is_success: bool,
    /// Standard output and standard error.
    pub output: String,
}

impl Outcome {
    fn word(&self) -> &'static str {
        if self.is_success { "ok" } else { "FAILED" }
    }
}

/// Runs `command` and prints its result; a failing command is not an error.
pub fn attempt(tree: &Tree, title: &str, command: &mut Command) -> Result<Outcome> {
    print!("  {title} ");
    let _ = std::io::stdout().flush();
    let progress = |seconds: u64| {
        print!("… {seconds} s ");
        let _ = std::io::stdout().flush();
    };
    let (outcome, seconds) = run(tree, title, command, progress)?;
    println!("{} ({seconds:.1} s)", outcome.word());
    Ok(outcome)
}

/// As [`attempt`], beside other steps: each line that is printed names the step.
pub fn attempt_beside(tree: &Tree, title: &str, command: &mut Command) -> Result<Outcome> {
    let (outcome, seconds) = run(tree, title, command, |_| {})?;
    println!("  {title} {} ({seconds:.1} s)", outcome.word());
    Ok(outcome)
}

/// Runs `command`; `progress` is called with the seconds since its start. Returns how long it took, too.
fn run(tree: &Tree, title: &str, command: &mut Command, progress: impl Fn(u64)) -> Result<(Outcome, f64)> {
    let log = log_file(tree, title)?;
    let name = command_name(command);
    let stdout = File::create(&log).map_err(|error| format!("{}: {error}", log.display()))?;
    let stderr = stdout.try_clone().map_err(|error| format!("{}: {error}", log.display()))?;
    let started = Instant::now();
    let spawned = command.stdin(Stdio::null()).stdout(stdout).stderr(stderr).spawn();
    let mut child = spawned.map_err(|error| format!("{title}: cannot run {name}: {error}"))?;
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || sender.send(child.wait()));
    let status = loop {
        match receiver.recv_timeout(SIGN_OF_LIFE) {
            Ok(status) => break status.map_err(|error| format!("{title}: {error}"))?,
            Err(RecvTimeoutError::Timeout) => progress(started.elapsed().as_secs()),
            Err(RecvTimeoutError::Disconnected) => return Err(format!("{title}: the waiting thread ended")),
        }
    };
    let output = std::fs::read(&log).map_err(|error| format!("{}: {error}", log.display()))?;
    let output = String::from_utf8_lossy(&output).into_owned();
    Ok((Outcome { is_success: status.success(), output }, started.elapsed().as_secs_f64()))
}

/// Runs `command`, on which later steps depend. Its failure is an error with its output.
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
