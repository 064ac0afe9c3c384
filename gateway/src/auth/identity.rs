//! Who was authenticated, by what, and until when.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use proscenium_engine::hosting::Principal;

use super::tokens::TokenDigest;
use crate::config::auth::{JwtConfig, KeyConfig, UserConfig};

/// An authenticated sender.
#[derive(Debug, Clone)]
pub struct Identity {
    pub principal: Principal,
    /// What it was authenticated by.
    pub source: IdentitySource,
    /// The login that it belongs to, which may be ended.
    pub session: Option<TokenDigest>,
    /// When it must be authenticated again; `None`: holds as long as it is configured.
    pub expires_at: Option<SystemTime>,
}

/// What a sender was authenticated by: the entry of the configuration, as it was then.
#[derive(Debug, Clone)]
pub enum IdentitySource {
    /// Nothing: authentication is not configured.
    Anonymous,
    User(Arc<UserConfig>),
    Key(Arc<KeyConfig>),
    Provider(Arc<JwtConfig>),
}

/// Why a sender is not authenticated any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Ended {
    #[error("the login has expired; log in again")]
    Expired,
    #[error("the login was ended")]
    LoggedOut,
    #[error("the user, key or provider was removed or changed; log in again")]
    Changed,
    #[error("the server now requires a login")]
    Required,
}

impl Identity {
    /// The identity of all senders while authentication is not configured.
    pub fn anonymous() -> Identity {
        Identity {
            principal: Principal::anonymous(),
            source: IdentitySource::Anonymous,
            session: None,
            expires_at: None,
        }
    }

    /// The identity of a user whose password was right.
    pub fn of_user(user: &Arc<UserConfig>) -> Identity {
        let principal = Principal::new(user.name.clone(), user.roles.clone(), user.claims.clone());
        let source = IdentitySource::User(user.clone());
        Identity { principal, source, session: None, expires_at: None }
    }

    /// The identity of a key.
    pub fn of_key(key: &Arc<KeyConfig>) -> Identity {
        let principal = Principal::new(key.name.clone(), key.roles.clone(), key.claims.clone());
        let source = IdentitySource::Key(key.clone());
        Identity { principal, source, session: None, expires_at: None }
    }

    /// Whether its time is over.
    pub fn has_expired(&self, now: SystemTime) -> bool {
        self.expires_at.is_some_and(|expires| expires <= now)
    }

    /// The time for which it still holds; `None`: without end.
    pub fn left(&self, now: SystemTime) -> Option<Duration> {
        self.expires_at.map(|expires| expires.duration_since(now).unwrap_or_default())
    }
}
