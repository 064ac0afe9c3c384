//! Who listens to a derived table: the table it is derived of holds a turn for each of them with every batch.
//!
//! Law: a connection counts as a listener of a table while it subscribes to a view of it, or of what is derived of it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::fanout::{Outlet, SessionId};

/// A table's place among those who speak of a batch.
#[derive(Debug, Clone, Default)]
pub struct Part {
    /// 0: it is written. Then, for each step of derivation, tables of views before joins.
    pub stage: u32,
    pub audience: Arc<Audience>,
}

impl Part {
    /// Of a table made from a view of a table.
    pub fn of_view(source: &Part) -> Part {
        Part { stage: 2 * source.depth() + 1, audience: Arc::default() }
    }

    /// Of a join.
    pub fn of_join<'a>(sources: impl Iterator<Item = &'a Part>) -> Part {
        let depth = sources.map(Part::depth).max().unwrap_or_default();
        Part { stage: 2 * depth + 2, audience: Arc::default() }
    }

    /// Steps of derivation.
    fn depth(&self) -> u32 {
        self.stage.div_ceil(2)
    }
}

/// The listeners of one table.
#[derive(Debug, Default)]
pub struct Audience {
    /// With the number of their subscriptions; an entry goes with the last.
    listeners: Mutex<HashMap<SessionId, (Arc<Outlet>, usize)>>,
}

/// A connection listens for as long as this is held.
#[derive(Debug)]
pub struct Listening {
    audience: Arc<Audience>,
    session: SessionId,
}

impl Audience {
    pub fn enter(self: &Arc<Self>, outlet: &Arc<Outlet>) -> Listening {
        let session = outlet.session();
        self.lock().entry(session).or_insert_with(|| (outlet.clone(), 0)).1 += 1;
        Listening { audience: self.clone(), session }
    }

    pub fn outlets(&self) -> Vec<Arc<Outlet>> {
        self.lock().values().map(|(outlet, _)| outlet.clone()).collect()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<SessionId, (Arc<Outlet>, usize)>> {
        self.listeners.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        let mut listeners = self.audience.lock();
        if let Some((_, count)) = listeners.get_mut(&self.session) {
            *count -= 1;
            if *count == 0 {
                listeners.remove(&self.session);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::Limits;
    use crate::meters::Meters;

    #[test]
    fn a_connection_listens_until_its_last_subscription_ends() {
        let audience = Arc::<Audience>::default();
        let outlet = Outlet::new(SessionId::fresh(), Limits::default(), Meters::new().unwrap());
        let (first, second) = (audience.enter(&outlet), audience.enter(&outlet));
        drop(first);
        assert_eq!(audience.outlets().len(), 1);
        drop(second);
        assert!(audience.outlets().is_empty());
    }

    #[test]
    fn tables_of_views_speak_before_joins_and_both_before_what_is_derived_of_them() {
        let written = Part::default();
        let (of_view, of_join) = (Part::of_view(&written), Part::of_join([&written, &written].into_iter()));
        assert_eq!((of_view.stage, of_join.stage), (1, 2));
        assert_eq!(Part::of_view(&of_view).stage, 3);
        assert_eq!(Part::of_join([&of_view, &of_join].into_iter()).stage, 4);
    }
}
