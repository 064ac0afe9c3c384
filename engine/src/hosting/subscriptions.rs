//! The subscriptions to one view.

use std::fmt::Debug;

/// The event that a subscription is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Topic {
    /// The table changed.
    Update {
        /// Whether notifications carry the view's changed rows.
        rows: bool,
    },
    /// Rows of the table were removed.
    Remove,
    /// The view was deleted.
    Delete,
}

/// A subscription of a client: who receives its notifications, and under which number.
pub trait Subscriber: Debug {
    /// Identifies a client.
    type Session: Copy + Eq + Debug;

    /// The client.
    fn session(&self) -> Self::Session;

    /// The number of the request that subscribed, unique within the client only.
    fn number(&self) -> u32;

    /// Whether this is the client's subscription of that number.
    fn is(&self, session: Self::Session, number: u32) -> bool {
        self.number() == number && self.session() == session
    }
}

/// The subscriptions to one view, in the order in which they were made.
#[derive(Debug)]
pub struct Subscriptions<S> {
    /// To changes of the table.
    pub on_update: Vec<S>,
    /// To removed rows.
    pub on_remove: Vec<S>,
    /// To the deletion of the view.
    pub on_delete: Vec<S>,
    /// Set by the first subscriber that wants rows, never cleared: from then on all updates of the view have rows.
    wants_rows: bool,
}

impl<S> Default for Subscriptions<S> {
    fn default() -> Self {
        Subscriptions {
            on_update: Vec::new(),
            on_remove: Vec::new(),
            on_delete: Vec::new(),
            wants_rows: false,
        }
    }
}

impl<S: Subscriber> Subscriptions<S> {
    /// Whether updates carry the changed rows.
    pub fn wants_rows(&self) -> bool {
        self.wants_rows
    }

    /// Adds a subscription.
    pub fn subscribe(&mut self, topic: Topic, subscriber: S) {
        if let Topic::Update { rows: true } = topic {
            self.wants_rows = true;
        }
        self.list(topic).push(subscriber);
    }

    /// Removes a subscription; an unknown one is ignored.
    pub fn unsubscribe(&mut self, topic: Topic, session: S::Session, number: u32) {
        self.list(topic).retain(|subscriber| !subscriber.is(session, number));
    }

    /// Removes all subscriptions of a client.
    pub fn forget(&mut self, session: S::Session) {
        for list in [&mut self.on_update, &mut self.on_remove, &mut self.on_delete] {
            list.retain(|subscriber| subscriber.session() != session);
        }
    }

    fn list(&mut self, topic: Topic) -> &mut Vec<S> {
        match topic {
            Topic::Update { .. } => &mut self.on_update,
            Topic::Remove => &mut self.on_remove,
            Topic::Delete => &mut self.on_delete,
        }
    }
}
