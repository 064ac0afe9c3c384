//! Applies changes of the configuration without a restart: `[auth]`, `[role]`, and the files of `[tls]`.
//!
//! Invariant: a change that is invalid changes nothing and is reported; the next one is tried again. Connections go on, except
//! those whose sender has lost its login; views that their readers may not have any more end.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, mpsc};

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::audit::AuditEvent;
use crate::auth::Authenticator;
use crate::auth::tokens::sha256;
use crate::command_router::CommandRouter;
use crate::config::{AuthConfig, Config};
use crate::rights::Policy;
use crate::settings;
use crate::setup_error::SetupError;
use crate::tls::TlsKeys;
use crate::tuning;

/// Applies changes.
#[derive(Debug)]
pub struct Reloader {
    inner: Arc<Inner>,
    router: CommandRouter,
    requests: UnboundedReceiver<Request>,
}

/// Where the result of a reload goes.
type Request = mpsc::Sender<Result<(), SetupError>>;

/// Asks the [`Reloader`] to apply changes now. Cheap to clone.
#[derive(Debug, Clone)]
pub struct ReloadHandle(UnboundedSender<Request>);

impl ReloadHandle {
    /// Reads all files again, applies them and waits until they apply.
    ///
    /// # Errors
    ///
    /// A file is invalid, or the server is stopping.
    pub fn reload(&self) -> Result<(), SetupError> {
        let (reply, result) = mpsc::channel();
        let stopping = || SetupError::System { reason: "the server is stopping".to_owned() };
        self.0.send(reply).map_err(|_| stopping())?;
        result.recv().unwrap_or_else(|_| Err(stopping()))
    }
}

#[derive(Debug)]
struct Inner {
    file: Option<PathBuf>,
    /// Whether other machines reach the server, which then must have `[auth]`.
    is_exposed: bool,
    auth: Authenticator,
    tls: Option<TlsKeys>,
    /// The content of the files that was applied last, or failed to be.
    seen: Mutex<Vec<Content>>,
}

/// What a configuration file says that can change without a restart.
struct Read {
    auth: Option<AuthConfig>,
    policy: Policy,
}

/// The digest of a file; `None`: it cannot be read.
type Content = Option<[u8; 32]>;

impl Reloader {
    /// Notes what the files contain, which the server has started with.
    pub fn new(
        config: &Config,
        router: CommandRouter,
        auth: Authenticator,
        tls: Option<TlsKeys>,
    ) -> (Reloader, ReloadHandle) {
        let is_exposed = Config { auth: None, ..config.clone() }.check_exposure().is_err();
        let inner = Inner { file: config.file.clone(), is_exposed, auth, tls, seen: Mutex::default() };
        *inner.seen.lock().unwrap_or_else(PoisonError::into_inner) = inner.contents();
        let (handle, requests) = unbounded_channel();
        (Reloader { inner: Arc::new(inner), router, requests }, ReloadHandle(handle))
    }

    /// Reads all files again, checks them, and applies them.
    async fn reload(&self) -> Result<(), SetupError> {
        let result = self.apply_files().await;
        let audit = self.inner.auth.audit();
        match &result {
            Ok(()) => {
                tracing::info!("the configuration was loaded again");
                audit.record(&AuditEvent::done("reload"));
            }
            Err(error) => {
                tracing::error!(%error, "the configuration cannot be loaded again; the old one applies");
                audit.record(&AuditEvent::refused("reload", &error.to_string()));
            }
        }
        result
    }

    async fn apply_files(&self) -> Result<(), SetupError> {
        let inner = self.inner.clone();
        let read = off_thread(move || inner.read()).await?;
        if let Some(Read { policy, .. }) = &read {
            self.router.check_policy(policy).await?;
        }
        let inner = self.inner.clone();
        let policy = off_thread(move || inner.apply(read)).await?;
        if let Some(policy) = policy {
            let reloaded = self.router.reload_policy(policy).await;
            reloaded.map_err(|error| SetupError::System { reason: error.to_string() })?;
        }
        Ok(())
    }

    /// Reloads when a file changes and when the process is told to (SIGHUP), for as long as the future is polled.
    pub async fn watch(mut self) {
        let mut hangup = Hangup::install();
        loop {
            let mut reply = None;
            tokio::select! {
                () = hangup.received() => {}
                // The handle is dropped with the server.
                Some(request) = self.requests.recv() => reply = Some(request),
                () = tokio::time::sleep(tuning::RELOAD_INTERVAL) => {
                    let inner = self.inner.clone();
                    let has_changed = tokio::task::spawn_blocking(move || inner.has_changed()).await;
                    if !has_changed.unwrap_or(false) {
                        continue;
                    }
                }
            }
            let result = self.reload().await;
            if let Some(reply) = reply {
                // Who asked may have left.
                let _ = reply.send(result);
            }
        }
    }
}

impl Inner {
    /// Reads what the configuration file says, if there is a file.
    fn read(&self) -> Result<Option<Read>, SetupError> {
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = self.contents();
        let Some(file) = &self.file else { return Ok(None) };
        let settings::Reloadable { auth, roles } = settings::reload(file)?;
        let policy = Policy::new(&roles, !roles.is_empty())?;
        if auth.is_none() && self.is_exposed {
            let reason = "was removed, but other machines reach this server".to_owned();
            return Err(SetupError::Setting { key: "auth", reason });
        }
        Ok(Some(Read { auth, policy }))
    }

    /// Applies what concerns no table. Returns the policy.
    fn apply(&self, read: Option<Read>) -> Result<Option<Policy>, SetupError> {
        self.auth.audit().reopen();
        if let Some(tls) = &self.tls {
            tls.reload()?;
        }
        let Some(Read { auth, policy }) = read else { return Ok(None) };
        self.auth.reload(auth.as_ref())?;
        Ok(Some(policy))
    }

    fn contents(&self) -> Vec<Content> {
        let tls = self.tls.iter().flat_map(|tls| tls.config().files());
        let files = self.file.as_deref().into_iter().chain(tls);
        files.map(|path| std::fs::read(path).ok().map(|content| sha256(&content))).collect()
    }

    fn has_changed(&self) -> bool {
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) != self.contents()
    }
}

/// Runs what reads files on a thread that may wait for them.
async fn off_thread<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, SetupError> + Send + 'static,
) -> Result<T, SetupError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|error| Err(SetupError::System { reason: error.to_string() }))
}

/// The signal by which a process is told to load its configuration again.
struct Hangup {
    #[cfg(unix)]
    signal: Option<actix_rt::signal::unix::Signal>,
}

impl Hangup {
    #[cfg(unix)]
    fn install() -> Hangup {
        use actix_rt::signal::unix::{SignalKind, signal};
        Hangup { signal: signal(SignalKind::hangup()).ok() }
    }

    #[cfg(not(unix))]
    fn install() -> Hangup {
        Hangup {}
    }

    async fn received(&mut self) {
        #[cfg(unix)]
        if let Some(signal) = &mut self.signal
            && signal.recv().await.is_some()
        {
            return;
        }
        std::future::pending().await
    }
}
