//! Logins that hold for hours, and tickets that hold once: both are random tokens of which the digest is kept.
//!
//! Invariant: nothing of a token can be read from memory or logs. A restart ends all of them.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use super::identity::Identity;
use super::tokens::{TokenDigest, digest_of, new_token};
use crate::tuning;

/// How tokens of logins begin.
pub const PREFIX: &str = "pls_";

/// How tickets begin.
const TICKET_PREFIX: &str = "plt_";

/// The identities of logins.
#[derive(Debug, Default)]
pub struct Sessions(Mutex<HashMap<TokenDigest, Identity>>);

impl Sessions {
    /// Opens a session and returns its token. When there are too many, the one that ends first is ended.
    pub fn open(&self, identity: Identity, lasting: Duration) -> (String, Identity) {
        let token = new_token(PREFIX);
        let ends = SystemTime::now() + lasting;
        let expires_at = Some(identity.expires_at.map_or(ends, |expires| expires.min(ends)));
        let opened = Identity { session: Some(digest_of(&token)), expires_at, ..identity };
        let mut sessions = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        make_room(&mut sessions, tuning::LOGINS, |identity| identity.expires_at);
        sessions.insert(digest_of(&token), opened.clone());
        (token, opened)
    }

    /// The identity of a token, unless the session has ended.
    pub fn find(&self, token: &str) -> Option<Identity> {
        let digest = digest_of(token);
        let mut sessions = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let identity = sessions.get(&digest)?;
        if identity.has_expired(SystemTime::now()) {
            sessions.remove(&digest);
            return None;
        }
        Some(identity.clone())
    }

    /// Whether a session has not been ended.
    pub fn is_open(&self, session: &TokenDigest) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).contains_key(session)
    }

    /// Ends a session.
    pub fn close(&self, session: &TokenDigest) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(session).is_some()
    }
}

/// Tickets: each opens one connection within half a minute.
#[derive(Debug, Default)]
pub struct Tickets(Mutex<HashMap<TokenDigest, (Identity, SystemTime)>>);

impl Tickets {
    /// Issues a ticket for a sender.
    pub fn issue(&self, identity: Identity) -> String {
        let ticket = new_token(TICKET_PREFIX);
        let until = SystemTime::now() + tuning::TICKET;
        let mut tickets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        make_room(&mut tickets, tuning::TICKETS, |(_, until)| Some(*until));
        tickets.insert(digest_of(&ticket), (identity, until));
        ticket
    }

    /// Whether a text has the form of a ticket.
    pub fn is_ticket(text: &str) -> bool {
        text.starts_with(TICKET_PREFIX)
    }

    /// Uses a ticket up.
    pub fn take(&self, ticket: &str) -> Option<Identity> {
        let taken = self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&digest_of(ticket));
        taken.filter(|(_, until)| *until > SystemTime::now()).map(|(identity, _)| identity)
    }
}

/// Removes what has ended from a map that is full, and else the entry that ends first.
fn make_room<V>(
    entries: &mut HashMap<TokenDigest, V>,
    limit: usize,
    ends: impl Fn(&V) -> Option<SystemTime>,
) {
    if entries.len() < limit {
        return;
    }
    let now = SystemTime::now();
    entries.retain(|_, entry| ends(entry).is_none_or(|ends| ends > now));
    if entries.len() < limit {
        return;
    }
    let first = entries.iter().min_by_key(|(_, entry)| ends(entry)).map(|(digest, _)| *digest);
    first.map(|digest| entries.remove(&digest));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_ends_when_it_is_closed_or_its_time_is_over() {
        let sessions = Sessions::default();
        let (token, identity) = sessions.open(Identity::anonymous(), Duration::from_secs(60));
        assert!(token.starts_with(PREFIX) && sessions.find(&token).is_some());
        assert!(sessions.find(&new_token(PREFIX)).is_none());
        let session = identity.session.unwrap();
        assert!(sessions.close(&session) && !sessions.close(&session));
        assert!(sessions.find(&token).is_none() && !sessions.is_open(&session));
        let (ended, _) = sessions.open(Identity::anonymous(), Duration::ZERO);
        assert!(sessions.find(&ended).is_none());
    }

    #[test]
    fn a_ticket_holds_once() {
        let tickets = Tickets::default();
        let ticket = tickets.issue(Identity::anonymous());
        assert!(tickets.take(&ticket).is_some());
        assert!(tickets.take(&ticket).is_none());
    }
}
