//! Where each session that can be resumed is held.
//!
//! Invariant: a session is listed from its first message until it ends. Who takes it over removes it from its holder in
//! one step, so two connections cannot have it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use actix::prelude::*;
use proscenium_engine::hosting::Principal;

use super::{Resumable, SessionToken};

/// Asks the holder of a session for it.
#[derive(Debug, Message)]
#[rtype(result = "Result<Resumable, Moved>")]
pub struct TakeOver;

/// The session has another holder by now, or has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moved;

/// The sessions of a server that can be resumed.
///
/// Cost: a clone is a reference count.
#[derive(Debug, Clone)]
pub struct ResumableSessions(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// Sessions without a connection; beyond, the one that has waited longest ends.
    max_detached: usize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    entries: HashMap<SessionToken, Entry>,
    num_detached: usize,
    next: u64,
}

#[derive(Debug)]
struct Entry {
    holder: Recipient<TakeOver>,
    /// Only its own client goes on with a session.
    principal: Principal,
    /// Set while the session has no connection: the number in the order in which sessions lost theirs.
    detached: Option<u64>,
}

impl ResumableSessions {
    pub fn new(max_detached: usize) -> ResumableSessions {
        ResumableSessions(Arc::new(Inner { max_detached, state: Mutex::default() }))
    }

    /// Notes who holds a session. Returns the holder of another one, which must end since too many have no connection.
    pub fn hold(
        &self,
        token: SessionToken,
        principal: &Principal,
        holder: Recipient<TakeOver>,
        is_detached: bool,
    ) -> Option<Recipient<TakeOver>> {
        let mut state = self.lock();
        state.remove(token);
        let number = state.next;
        state.next += 1;
        state.num_detached += usize::from(is_detached);
        let detached = is_detached.then_some(number);
        state.entries.insert(token, Entry { holder, principal: principal.clone(), detached });
        if state.num_detached <= self.0.max_detached {
            return None;
        }
        let waiting = state.entries.iter().filter_map(|(token, entry)| Some((entry.detached?, *token)));
        let (_, longest) = waiting.min_by_key(|(number, _)| *number)?;
        state.remove(longest).map(|entry| entry.holder)
    }

    /// Who holds a session of this client.
    pub fn find(&self, token: SessionToken, principal: &Principal) -> Option<Recipient<TakeOver>> {
        let state = self.lock();
        let entry = state.entries.get(&token).filter(|entry| entry.principal == *principal)?;
        Some(entry.holder.clone())
    }

    /// Notes that a session has ended.
    pub fn forget(&self, token: SessionToken) {
        self.lock().remove(token);
    }

    /// Sessions that wait for their clients.
    pub fn num_detached(&self) -> usize {
        self.lock().num_detached
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn remove(&mut self, token: SessionToken) -> Option<Entry> {
        let entry = self.entries.remove(&token)?;
        self.num_detached -= usize::from(entry.detached.is_some());
        Some(entry)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Holder;

    impl Actor for Holder {
        type Context = Context<Self>;
    }

    impl Handler<TakeOver> for Holder {
        type Result = Result<Resumable, Moved>;
        fn handle(&mut self, TakeOver: TakeOver, _ctx: &mut Self::Context) -> Self::Result {
            Err(Moved)
        }
    }

    #[actix_rt::test]
    async fn only_its_own_client_finds_a_session() {
        let sessions = ResumableSessions::new(1);
        let (ann, bob) = (Principal::new("ann", [], [].into()), Principal::new("bob", [], [].into()));
        let token = SessionToken::fresh().unwrap();
        let holder = Holder.start().recipient();
        assert!(sessions.hold(token, &ann, holder.clone(), false).is_none());
        assert_eq!(sessions.find(token, &ann), Some(holder));
        assert_eq!(sessions.find(token, &bob), None);
        sessions.forget(token);
        assert_eq!(sessions.find(token, &ann), None);
    }

    #[actix_rt::test]
    async fn beyond_the_limit_the_one_that_waited_longest_ends() {
        let sessions = ResumableSessions::new(2);
        let ann = Principal::anonymous();
        let tokens = [(); 4].map(|()| SessionToken::fresh().unwrap());
        let holders = [(); 4].map(|()| Holder.start().recipient());
        assert!(sessions.hold(tokens[0], &ann, holders[0].clone(), false).is_none());
        for at in 1..3 {
            assert!(sessions.hold(tokens[at], &ann, holders[at].clone(), true).is_none());
        }
        assert_eq!(sessions.hold(tokens[3], &ann, holders[3].clone(), true), Some(holders[1].clone()));
        assert_eq!((sessions.num_detached(), sessions.find(tokens[1], &ann)), (2, None));
        // One that got a connection again waits no more.
        assert!(sessions.hold(tokens[2], &ann, holders[2].clone(), false).is_none());
        assert_eq!(sessions.num_detached(), 1);
    }
}
