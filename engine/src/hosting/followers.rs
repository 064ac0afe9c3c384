//! The tables that are derived of a table, as it sees them.
//!
//! Invariant: a table is not deleted while a join follows it, and a view is not closed while a table is made from it.
//! Sources cannot form a cycle: a source exists before the tables derived of it.

use super::HandleId;
use crate::error::{HostingError, Result};

/// A derived table, as registered with one of its sources.
#[derive(Debug)]
pub struct Follower<F> {
    /// The view that it is made from, which may not be closed meanwhile.
    pub view: Option<HandleId>,
    /// Its name if it is a join: then this table may not be deleted meanwhile.
    pub join: Option<String>,
    /// How its owner reaches it.
    pub link: F,
}

/// The followers of one table, in the order in which they were added. `F` is how the owner reaches a follower.
#[derive(Debug)]
pub struct Followers<F>(Vec<Follower<F>>);

impl<F> Default for Followers<F> {
    fn default() -> Self {
        Followers(Vec::new())
    }
}

impl<F> Followers<F> {
    /// Adds a follower.
    pub fn add(&mut self, follower: Follower<F>) {
        self.0.push(follower);
    }

    /// Keeps only the followers for which `is_kept` returns true.
    pub fn retain(&mut self, mut is_kept: impl FnMut(&F) -> bool) {
        self.0.retain(|follower| is_kept(&follower.link));
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The links to all followers.
    pub fn links(&self) -> impl Iterator<Item = &F> {
        self.0.iter().map(|follower| &follower.link)
    }

    /// Forgets that tables are made from a view, which is closed with its client. They continue to follow the table.
    pub fn forget_view(&mut self, view: HandleId) {
        for follower in &mut self.0 {
            follower.view.take_if(|of| *of == view);
        }
    }

    /// Checks that a view may be closed.
    ///
    /// # Errors
    ///
    /// A table is made from it.
    pub fn may_close(&self, view: HandleId) -> Result<()> {
        match self.0.iter().any(|follower| follower.view == Some(view)) {
            true => Err(HostingError::ViewIsSource.into()),
            false => Ok(()),
        }
    }

    /// Checks that the table may be deleted.
    ///
    /// # Errors
    ///
    /// It is a source of a join, whose name the error states.
    pub fn may_delete(&self) -> Result<()> {
        match self.0.iter().find_map(|follower| follower.join.as_ref()) {
            Some(join) => Err(HostingError::TableIsSource { join: join.to_string() }.into()),
            None => Ok(()),
        }
    }
}
