//! State of an actor that a worker may hold while it works on it.
//!
//! Invariant: while the state is away, its actor handles no message (it waits for the worker), so code that reads
//! the state finds it. A worker that panics does not give it back: the actor ends.

use std::ops::{Deref, DerefMut};

/// A state that is here, or away with a worker.
#[derive(Debug)]
pub(crate) struct Lent<T>(Option<T>);

impl<T> Lent<T> {
    pub fn new(state: T) -> Lent<T> {
        Lent(Some(state))
    }

    /// Takes the state away. [`Lent::give_back`] must follow before it is read again.
    pub fn lend(&mut self) -> T {
        self.0.take().expect("a state is lent once at a time")
    }

    pub fn give_back(&mut self, state: T) {
        self.0 = Some(state);
    }

    pub fn is_away(&self) -> bool {
        self.0.is_none()
    }

    /// Takes the state for good, if it is here.
    pub fn take(&mut self) -> Option<T> {
        self.0.take()
    }
}

impl<T> Deref for Lent<T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.0.as_ref().expect("no message is handled while the state is away")
    }
}

impl<T> DerefMut for Lent<T> {
    fn deref_mut(&mut self) -> &mut T {
        self.0.as_mut().expect("no message is handled while the state is away")
    }
}
