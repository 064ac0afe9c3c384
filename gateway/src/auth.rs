//! Authentication: who sends a request, by which credentials, and for how long that holds.
//!
//! Invariant: WebSocket, HTTP and Flight authenticate their senders here and nowhere else. Credentials are compared in
//! constant time or by keyed digests, are kept as digests alone, and appear in no log. What was authenticated is checked
//! again whenever the configuration changes or a login ends.
//!
//! Reading order: [`credentials`], [`identity`]; the ways: [`passwords`], [`keys`], [`provider`], [`sessions`]; what slows
//! down those who guess: [`throttle`].

pub mod config_check;
pub mod credentials;
pub mod http_client;
pub mod identity;
pub mod jwt_crypto;
pub mod keys;
pub mod links;
pub mod oidc;
pub mod passwords;
pub mod provider;
pub mod sessions;
pub mod throttle;
pub mod tokens;

use std::collections::HashMap;
use std::net::IpAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant, SystemTime};

use tokio::sync::watch;

pub use config_check::check;
pub use credentials::Credentials;
pub use identity::{Ended, Identity, IdentitySource};

use crate::audit::{Audit, AuditEvent};
use crate::config::AuthConfig;
use crate::config::auth::{JwtConfig, UserConfig};
use crate::metrics::Metrics;
use crate::setup_error::SetupError;
use keys::Keys;
use links::{LinkKey, SealedLink};
use oidc::PendingLogins;
use passwords::{PasswordChecker, QueueFull};
use provider::Provider;
use sessions::{Sessions, Tickets};
use throttle::{Throttle, TooManyFailures};

/// Why a sender is not authenticated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AuthError {
    #[error("this server requires a login: send Authorization: Bearer or Basic, or open /login")]
    Missing,
    #[error("the header Authorization {0}")]
    Malformed(&'static str),
    #[error("the name or the password is wrong")]
    WrongPassword,
    #[error("the token {0}")]
    Token(&'static str),
    #[error("too many logins have failed; try again in {retry_seconds} seconds")]
    TooManyFailures { retry_seconds: u64 },
    #[error("too many logins are being checked; try again")]
    Busy,
    #[error("the identity provider does not answer; try again")]
    Unavailable,
}

impl AuthError {
    /// The stable identifier of the error, as in `docs/errors.md`.
    pub fn code(&self) -> &'static str {
        match self {
            AuthError::Missing => "not_authenticated",
            AuthError::Malformed(_) => "malformed_credentials",
            AuthError::WrongPassword => "wrong_password",
            AuthError::Token(_) => "invalid_token",
            AuthError::TooManyFailures { .. } => "too_many_failures",
            AuthError::Busy => "busy",
            AuthError::Unavailable => "provider_unavailable",
        }
    }
}

impl From<TooManyFailures> for AuthError {
    fn from(TooManyFailures { retry_seconds }: TooManyFailures) -> Self {
        AuthError::TooManyFailures { retry_seconds }
    }
}

/// Authenticates senders. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Authenticator(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    rules: RwLock<Arc<Rules>>,
    /// Changes whenever identities may have ended.
    changes: watch::Sender<u64>,
    sessions: Sessions,
    tickets: Tickets,
    pending_logins: PendingLogins,
    throttle: Throttle,
    passwords: PasswordChecker,
    /// One password of a name is checked at a time, so that the failures of some count before the next.
    gates: Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>,
    audit: Audit,
    metrics: Metrics,
}

/// What the configuration says.
#[derive(Debug, Default)]
struct Rules {
    /// `None`: every sender is anonymous.
    config: Option<AuthConfig>,
    users: HashMap<String, Arc<UserConfig>>,
    keys: Keys,
    providers: Vec<Arc<Provider>>,
    /// Signs links.
    link_key: Option<Arc<LinkKey>>,
}

impl Rules {
    /// Takes a configuration that was checked. Providers that did not change keep their keys.
    fn new(config: Option<&AuthConfig>, before: &Rules) -> Result<Rules, SetupError> {
        let Some(config) = config else { return Ok(Rules::default()) };
        let users = config.users.iter().map(|user| (user.name.clone(), Arc::new(user.clone())));
        let provider =
            |jwt: &JwtConfig| match before.providers.iter().find(|provider| *provider.config == *jwt) {
                Some(provider) => Ok(provider.clone()),
                None => Provider::new(jwt)
                    .map(Arc::new)
                    .map_err(|reason| SetupError::Setting { key: "auth.jwt", reason }),
            };
        let link_key = match (&config.link_secret_file, &before.link_key) {
            (Some(path), _) => Arc::new(LinkKey::new(Some(&read_secret(path)?))),
            (None, Some(key)) => key.clone(),
            (None, None) => Arc::new(LinkKey::new(None)),
        };
        Ok(Rules {
            link_key: Some(link_key),
            users: users.collect(),
            keys: Keys::new(&config.keys),
            providers: config.jwt.iter().map(provider).collect::<Result<_, _>>()?,
            config: Some(config.clone()),
        })
    }
}

/// Reads a secret that has as many bytes as a digest.
fn read_secret(path: &Path) -> Result<Vec<u8>, SetupError> {
    let fault = |reason: String| SetupError::Setting {
        key: "auth.link_secret_file",
        reason: format!("{}: {reason}", path.display()),
    };
    let secret = std::fs::read(path).map_err(|error| fault(error.to_string()))?;
    if secret.len() < 32 {
        return Err(fault("has less than 32 bytes, as `head -c 32 /dev/urandom` writes them".to_owned()));
    }
    Ok(secret)
}

impl Authenticator {
    /// Starts authentication by a configuration that was checked.
    ///
    /// # Errors
    ///
    /// A file of the configuration cannot be read, or threads cannot be started.
    pub fn start(
        config: Option<&AuthConfig>,
        audit: Audit,
        metrics: Metrics,
    ) -> Result<Authenticator, SetupError> {
        let rules = Rules::new(config, &Rules::default())?;
        let passwords =
            PasswordChecker::start().map_err(|error| SetupError::System { reason: error.to_string() })?;
        Ok(Authenticator(Arc::new(Inner {
            rules: RwLock::new(Arc::new(rules)),
            changes: watch::Sender::new(0),
            sessions: Sessions::default(),
            tickets: Tickets::default(),
            pending_logins: PendingLogins::default(),
            throttle: Throttle::default(),
            passwords,
            gates: Mutex::default(),
            audit,
            metrics,
        })))
    }

    fn rules(&self) -> Arc<Rules> {
        self.0.rules.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether senders must be authenticated.
    pub fn is_required(&self) -> bool {
        self.rules().config.is_some()
    }

    /// The time for which a login holds.
    pub fn session_time(&self) -> Duration {
        self.rules().config.as_ref().map_or(Duration::ZERO, AuthConfig::session)
    }

    /// Whether there are users with passwords.
    pub fn has_users(&self) -> bool {
        !self.rules().users.is_empty()
    }

    /// The providers of the configuration.
    pub fn providers(&self) -> Vec<Arc<Provider>> {
        self.rules().providers.clone()
    }

    /// The logins at identity providers that have begun.
    pub fn pending_logins(&self) -> &PendingLogins {
        &self.0.pending_logins
    }

    /// Where events are recorded.
    pub fn audit(&self) -> &Audit {
        &self.0.audit
    }

    /// Applies another configuration, which was checked. Identities that it does not have any more end.
    ///
    /// # Errors
    ///
    /// A file of the configuration cannot be read; the old one still applies.
    pub fn reload(&self, config: Option<&AuthConfig>) -> Result<(), SetupError> {
        let rules = Rules::new(config, &self.rules())?;
        *self.0.rules.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(rules);
        self.notify();
        Ok(())
    }

    fn notify(&self) {
        self.0.changes.send_modify(|number| *number += 1);
    }

    /// Changes whenever identities may have ended: then [`Authenticator::standing`] says which have.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.0.changes.subscribe()
    }

    /// Whether what was authenticated still holds.
    ///
    /// # Errors
    ///
    /// Why it has ended.
    pub fn standing(&self, identity: &Identity) -> Result<(), Ended> {
        if identity.has_expired(SystemTime::now()) {
            return Err(Ended::Expired);
        }
        if identity.session.is_some_and(|session| !self.0.sessions.is_open(&session)) {
            return Err(Ended::LoggedOut);
        }
        let rules = self.rules();
        let is_configured = match &identity.source {
            IdentitySource::Anonymous if rules.config.is_some() => return Err(Ended::Required),
            IdentitySource::Anonymous => true,
            IdentitySource::User(user) => rules.users.get(&user.name).is_some_and(|known| known == user),
            IdentitySource::Key(key) => rules.keys.has(key),
            IdentitySource::Provider(jwt) => rules.providers.iter().any(|known| known.config == *jwt),
        };
        if is_configured { Ok(()) } else { Err(Ended::Changed) }
    }

    /// Authenticates a sender by its credentials. Refusals are recorded.
    ///
    /// # Errors
    ///
    /// The credentials are missing or wrong, or cannot be checked now.
    pub async fn authenticate(
        &self,
        credentials: Option<&Credentials>,
        from: IpAddr,
        via: &'static str,
    ) -> Result<Identity, AuthError> {
        if !self.is_required() {
            return Ok(Identity::anonymous());
        }
        let checked = match credentials {
            None => Err(AuthError::Missing),
            Some(Credentials::Basic { name, password }) => self.check_password(name, password, from).await,
            Some(Credentials::Bearer(token)) => self.check_token(token).await,
            Some(Credentials::Ticket(ticket)) => self
                .0
                .tickets
                .take(ticket)
                .ok_or(AuthError::Token("is no ticket, or was used or has expired")),
        };
        let standing = checked.and_then(|identity| match self.standing(&identity) {
            Ok(()) => Ok(identity),
            Err(_) => Err(AuthError::Token("has ended")),
        });
        standing.inspect_err(|error| {
            self.0.metrics.refused_requests_total.with_label_values(&[error.code()]).inc();
            // What comes without credentials, like a browser's first request, is no attempt.
            if *error != AuthError::Missing {
                let who = match credentials {
                    Some(Credentials::Basic { name, .. }) => Some(name.as_str()),
                    Some(Credentials::Bearer(_) | Credentials::Ticket(_)) | None => None,
                };
                self.refused(who, from, via, error);
            }
        })
    }

    fn refused(&self, who: Option<&str>, from: IpAddr, via: &'static str, error: &AuthError) {
        let reason = error.to_string();
        self.0.audit.record(&AuditEvent {
            who,
            from: Some(from),
            via,
            ..AuditEvent::refused("login", &reason)
        });
    }

    /// The sender of a login's token, if the login still holds.
    pub fn find_session(&self, token: &str) -> Option<Identity> {
        let identity = self.0.sessions.find(token)?;
        self.standing(&identity).is_ok().then_some(identity)
    }

    /// Checks a name and a password and opens a login, whose token is returned.
    ///
    /// # Errors
    ///
    /// As [`Authenticator::authenticate`].
    pub async fn log_in(
        &self,
        name: &str,
        password: &str,
        from: IpAddr,
        via: &'static str,
    ) -> Result<(String, Identity), AuthError> {
        let checked = self.check_password(name, password, from).await;
        match checked {
            Ok(identity) => Ok(self.open_session(identity, from, via)),
            Err(error) => {
                self.0.metrics.logins_total.with_label_values(&[error.code()]).inc();
                self.refused(Some(name), from, via, &error);
                Err(error)
            }
        }
    }

    /// Opens a login for a sender who was authenticated, and returns its token.
    pub fn open_session(&self, identity: Identity, from: IpAddr, via: &'static str) -> (String, Identity) {
        let (token, identity) = self.0.sessions.open(identity, self.session_time());
        self.0.metrics.logins_total.with_label_values(&["ok"]).inc();
        let who = identity.principal.name();
        self.0.audit.record(&AuditEvent { who, from: Some(from), via, ..AuditEvent::done("login") });
        (token, identity)
    }

    /// Ends the login that an identity belongs to, and with it its connections.
    pub fn log_out(&self, identity: &Identity, from: IpAddr, via: &'static str) {
        if identity.session.is_some_and(|session| self.0.sessions.close(&session)) {
            let who = identity.principal.name();
            self.0.audit.record(&AuditEvent { who, from: Some(from), via, ..AuditEvent::done("logout") });
            self.notify();
        }
    }

    /// The bearer of a link.
    ///
    /// # Errors
    ///
    /// Its maker is gone.
    pub fn bearer(&self, link: &SealedLink) -> Result<Identity, AuthError> {
        self.rules().bearer(link)
    }

    /// The bearer of a link's token, if it is valid.
    pub fn find_bearer(&self, token: &str) -> Option<Identity> {
        self.bearer(&self.read_link(token).ok()?).ok()
    }

    /// Signs a link and returns its token.
    pub fn seal(&self, link: &SealedLink) -> String {
        self.rules().link_key.as_ref().map_or_else(String::new, |key| key.seal(link))
    }

    /// Reads the token of a link.
    ///
    /// # Errors
    ///
    /// This server did not sign it, or its time is over.
    pub fn read_link(&self, token: &str) -> Result<SealedLink, AuthError> {
        let rules = self.rules();
        let key = rules.link_key.as_ref().ok_or(AuthError::Token("is no link of this server"))?;
        key.open(token, SystemTime::now())
    }

    /// Issues a ticket, by which its holder is authenticated once as this sender.
    pub fn issue_ticket(&self, identity: &Identity) -> String {
        self.0.tickets.issue(identity.clone())
    }

    async fn check_password(&self, name: &str, password: &str, from: IpAddr) -> Result<Identity, AuthError> {
        let rules = self.rules();
        let user = rules.users.get(name);
        let is_recognized =
            |user: &Arc<UserConfig>| self.0.passwords.is_recognized(name, password, user.password.expose());
        if let Some(user) = user
            && is_recognized(user)
        {
            return Ok(Identity::of_user(user));
        }
        let gate = self.gate(name)?;
        let turn = gate.lock().await;
        let checked = match user {
            Some(user) if is_recognized(user) => Ok(Identity::of_user(user)),
            _ => self.check_password_now(&rules, user, name, password, from).await,
        };
        drop(turn);
        let mut gates = self.0.gates.lock().unwrap_or_else(PoisonError::into_inner);
        // One reference is here and one in the map.
        if Arc::strong_count(&gate) <= 2 {
            gates.remove(name);
        }
        checked
    }

    async fn check_password_now(
        &self,
        rules: &Rules,
        user: Option<&Arc<UserConfig>>,
        name: &str,
        password: &str,
        from: IpAddr,
    ) -> Result<Identity, AuthError> {
        self.0.throttle.check(name, from, Instant::now())?;
        // An unknown name takes as long as a known one.
        let hash = user.or_else(|| rules.users.values().next()).map(|user| user.password.expose());
        let is_right = match hash {
            Some(hash) => {
                self.0.passwords.check(name, password, hash).await.map_err(|QueueFull| AuthError::Busy)?
            }
            None => false,
        };
        match user {
            Some(user) if is_right => {
                self.0.throttle.succeeded(name, from, Instant::now());
                Ok(Identity::of_user(user))
            }
            Some(_) | None => {
                self.0.throttle.failed(name, from, Instant::now());
                Err(AuthError::WrongPassword)
            }
        }
    }

    fn gate(&self, name: &str) -> Result<Arc<tokio::sync::Mutex<()>>, AuthError> {
        let mut gates = self.0.gates.lock().unwrap_or_else(PoisonError::into_inner);
        if gates.len() >= crate::tuning::COUNTED_LOGINS {
            return Err(AuthError::Busy);
        }
        Ok(gates.entry(name.to_owned()).or_default().clone())
    }

    async fn check_token(&self, token: &str) -> Result<Identity, AuthError> {
        if Tickets::is_ticket(token) {
            return Err(AuthError::Token("is a ticket, which belongs into ?token="));
        }
        let rules = self.rules();
        if token.starts_with(keys::PREFIX) {
            let key = rules.keys.find(token).ok_or(AuthError::Token("is no key of this server"))?;
            return Ok(Identity::of_key(key));
        }
        if token.starts_with(links::PREFIX) {
            return rules.bearer(&self.read_link(token)?);
        }
        if token.starts_with(sessions::PREFIX) {
            return self.0.sessions.find(token).ok_or(AuthError::Token("is of a login that has ended"));
        }
        let issuer = Provider::claimed_issuer(token)
            .ok_or(AuthError::Token("is neither a key, nor of a login, nor of an identity provider"))?;
        let provider = rules.providers.iter().find(|provider| provider.config.issuer == issuer);
        provider.ok_or(AuthError::Token("is of an issuer that is not configured"))?.authenticate(token).await
    }
}
