//! The audit: one line of JSON for each login, refusal, table created or dropped, export and change of the configuration.
//!
//! Invariant: no line holds a secret or a cell of a table. A line is written by a thread of its own; what the thread cannot
//! keep up with is counted, and the number is written.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::SystemTime;

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Map, Value};

use crate::config::AuditConfig;
use crate::setup_error::SetupError;
use crate::tuning;

/// Something that was done or refused.
#[derive(Debug, Clone, Copy)]
pub struct AuditEvent<'a> {
    /// What: `login`, `logout`, `create`, `drop`, `export`, `reload`, `link`.
    pub event: &'static str,
    /// By whom; `None`: not authenticated.
    pub who: Option<&'a str>,
    /// From where; `None`: from within the server.
    pub from: Option<IpAddr>,
    /// The endpoint: `http`, `websocket`, `flight`, `server`.
    pub via: &'static str,
    pub table: Option<&'a str>,
    /// Why it was refused; `None`: it was done.
    pub refusal: Option<&'a str>,
}

impl<'a> AuditEvent<'a> {
    /// Something that was done.
    pub fn done(event: &'static str) -> AuditEvent<'a> {
        AuditEvent { event, who: None, from: None, via: "server", table: None, refusal: None }
    }

    /// Something that was refused.
    pub fn refused(event: &'static str, reason: &'a str) -> AuditEvent<'a> {
        AuditEvent { refusal: Some(reason), ..AuditEvent::done(event) }
    }

    fn line(&self, now: SystemTime) -> String {
        let mut line = Map::new();
        let mut put = |name: &str, value: Option<Value>| {
            if let Some(value) = value {
                line.insert(name.to_owned(), value);
            }
        };
        put("time", Some(DateTime::<Utc>::from(now).to_rfc3339_opts(SecondsFormat::Millis, true).into()));
        put("event", Some(self.event.into()));
        put("ok", Some(self.refusal.is_none().into()));
        put("user", self.who.map(Value::from));
        put("from", self.from.map(|from| from.to_string().into()));
        put("via", Some(self.via.into()));
        put("table", self.table.map(Value::from));
        put("reason", self.refusal.map(Value::from));
        Value::Object(line).to_string()
    }
}

/// Records events. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Audit(Option<Arc<Recorder>>);

#[derive(Debug)]
struct Recorder {
    /// Taken when the recorder ends.
    lines: Option<SyncSender<Message>>,
    lost: AtomicU64,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Recorder {
    /// Waits until what was recorded is written.
    fn drop(&mut self) {
        drop(self.lines.take());
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread of the audit panicked");
        }
    }
}

impl Recorder {
    fn send(&self, message: Message) -> bool {
        let sent = self.lines.as_ref().map(|lines| lines.try_send(message));
        !matches!(sent, Some(Err(TrySendError::Full(_))))
    }
}

enum Message {
    Line(String),
    Reopen,
}

impl Audit {
    /// Opens the file of the configuration.
    ///
    /// # Errors
    ///
    /// The file cannot be opened, or the thread not started.
    pub fn open(config: &AuditConfig) -> Result<Audit, SetupError> {
        let Some(path) = &config.file else { return Ok(Audit::default()) };
        let target = Target::open(path).map_err(|error| SetupError::Setting {
            key: "audit.file",
            reason: format!("{}: {error}", path.display()),
        })?;
        let (lines, receiver) = sync_channel(tuning::AUDIT_LINES);
        let path = path.clone();
        let thread = std::thread::Builder::new()
            .name("audit".into())
            .spawn(move || write_all(target, &path, &receiver))
            .map_err(|error| SetupError::System { reason: error.to_string() })?;
        Ok(Audit(Some(Arc::new(Recorder {
            lines: Some(lines),
            lost: AtomicU64::new(0),
            thread: Some(thread),
        }))))
    }

    /// Whether events are recorded anywhere.
    pub fn is_open(&self) -> bool {
        self.0.is_some()
    }

    /// Records an event.
    pub fn record(&self, event: &AuditEvent<'_>) {
        let Some(recorder) = &self.0 else { return };
        let mut line = event.line(SystemTime::now());
        line.push('\n');
        let lost = recorder.lost.swap(0, Ordering::Relaxed);
        if lost > 0 {
            line.push_str(&format!("{{\"event\":\"lost\",\"lines\":{lost}}}\n"));
        }
        if !recorder.send(Message::Line(line)) {
            recorder.lost.fetch_add(lost + 1, Ordering::Relaxed);
        }
    }

    /// Opens the file anew, as after it was renamed by a rotation of logs.
    pub fn reopen(&self) {
        if let Some(recorder) = &self.0 {
            // If the queue is full, the next reload opens it.
            recorder.send(Message::Reopen);
        }
    }
}

enum Target {
    Stderr,
    File(File),
}

impl Target {
    fn open(path: &Path) -> std::io::Result<Target> {
        if path.as_os_str() == "stderr" {
            return Ok(Target::Stderr);
        }
        let mut options = OpenOptions::new();
        options.create(true).append(true);
        #[cfg(unix)]
        {
            use std::os::unix::fs::OpenOptionsExt;
            options.mode(0o640);
        }
        options.open(path).map(Target::File)
    }

    fn write(&mut self, line: &str) -> std::io::Result<()> {
        match self {
            Target::Stderr => std::io::stderr().write_all(line.as_bytes()),
            Target::File(file) => file.write_all(line.as_bytes()),
        }
    }
}

fn write_all(mut target: Target, path: &Path, lines: &Receiver<Message>) {
    while let Ok(message) = lines.recv() {
        match message {
            Message::Line(line) => {
                if let Err(error) = target.write(&line) {
                    tracing::error!(%error, "a line of the audit was not written");
                }
            }
            Message::Reopen => match Target::open(path) {
                Ok(opened) => target = opened,
                Err(error) => {
                    tracing::error!(%error, file = %path.display(), "the audit was not opened again")
                }
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_names_who_did_what_from_where() {
        let at = SystemTime::UNIX_EPOCH;
        let (who, from) = (Some("ann \"a\""), Some("10.0.0.1".parse().unwrap()));
        let event = AuditEvent { who, from, via: "http", table: Some("t"), ..AuditEvent::done("drop") };
        let line = r#"{"time":"1970-01-01T00:00:00.000Z","event":"drop","ok":true,"user":"ann \"a\"","from":"10.0.0.1","via":"http","table":"t"}"#;
        assert_eq!(event.line(at), line);
        let line =
            r#"{"time":"1970-01-01T00:00:00.000Z","event":"login","ok":false,"via":"server","reason":"no"}"#;
        assert_eq!(AuditEvent::refused("login", "no").line(at), line);
    }
}
