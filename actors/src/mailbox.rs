//! How messages travel: `offer` (no waiting: taken, full or gone), `post` (waits for room) and `ask` (reply, deadline).
//!
//! Law: every mailbox is bounded, whoever sends. actix bounds a mailbox per sender and lets each clone of an address
//! put one more message in, and a sender that waits on a full one is not always woken; so the bound is a semaphore of
//! our own, whose permit travels with the message and is given back when its handler begins.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use actix::dev::ToEnvelope;
use actix::prelude::*;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use crate::error::{ActorError, Result};
use crate::outbox::SessionId;

/// A message on its way, with the room it takes up.
pub struct Posted<M> {
    message: M,
    _room: OwnedSemaphorePermit,
}

impl<M> std::fmt::Debug for Posted<M> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Posted<{}>", std::any::type_name::<M>())
    }
}

impl<M> Posted<M> {
    /// The message; its room in the mailbox is free again.
    pub fn open(self) -> M {
        self.message
    }
}

impl<M> Message for Posted<M> {
    type Result = ();
}

/// What became of an offer.
#[derive(Debug)]
pub enum Offered<M> {
    Taken,
    /// No room now.
    Full(M),
    /// The actor has ended.
    Gone(M),
}

/// The bound of a mailbox, made before its actor runs: so an actor can hold its own mailbox from the start.
#[derive(Debug, Clone)]
pub struct MailboxBound {
    capacity: usize,
    room: Arc<Semaphore>,
}

impl MailboxBound {
    pub fn new(capacity: usize) -> Self {
        MailboxBound { capacity, room: Arc::new(Semaphore::new(capacity)) }
    }

    /// The mailbox of `addr`. All mailboxes of one bound share it. The actor must call [`unbound`] when it starts.
    pub fn mailbox<A: Actor>(&self, addr: Addr<A>) -> Mailbox<A> {
        Mailbox { addr, capacity: self.capacity, room: self.room.clone() }
    }
}

/// A bounded way to an actor. Clones share the bound.
pub struct Mailbox<A: Actor> {
    addr: Addr<A>,
    capacity: usize,
    room: Arc<Semaphore>,
}

impl<A: Actor> Clone for Mailbox<A> {
    fn clone(&self) -> Self {
        Mailbox { addr: self.addr.clone(), capacity: self.capacity, room: self.room.clone() }
    }
}

impl<A: Actor> std::fmt::Debug for Mailbox<A> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Mailbox<{}>({} free)", std::any::type_name::<A>(), self.room.available_permits())
    }
}

impl<A: Actor> Mailbox<A> {
    /// The actor must call [`unbound`] when it starts: `capacity` is the only bound.
    pub fn new(addr: Addr<A>, capacity: usize) -> Self {
        MailboxBound::new(capacity).mailbox(addr)
    }

    /// Whether the actor has ended.
    pub fn is_gone(&self) -> bool {
        !self.addr.connected()
    }

    /// Messages that wait to be handled.
    pub fn num_waiting(&self) -> usize {
        self.capacity - self.room.available_permits().min(self.capacity)
    }

    pub fn offer<M>(&self, message: M) -> Offered<M>
    where
        M: Send + 'static,
        A: Handler<Posted<M>>,
        A::Context: ToEnvelope<A, Posted<M>>,
    {
        match self.room.clone().try_acquire_owned() {
            Ok(room) => self.put(Posted { message, _room: room }),
            Err(_) => Offered::Full(message),
        }
    }

    /// Waits for room, in the order of asking. A message to an ended actor is dropped, and so are its replies, which
    /// tells whoever waits for them.
    pub fn post<M>(&self, message: M) -> impl Future<Output = ()> + Send + 'static
    where
        M: Send + 'static,
        A: Handler<Posted<M>>,
        A::Context: ToEnvelope<A, Posted<M>>,
    {
        let mailbox = self.clone();
        async move {
            let room = mailbox.room.clone().acquire_owned().await;
            let room = room.expect("the semaphore is never closed");
            mailbox.put(Posted { message, _room: room });
        }
    }

    /// Sends what `message` makes of a reply, and waits for that reply.
    pub async fn ask<M, T>(&self, deadline: Duration, message: impl FnOnce(Reply<T>) -> M) -> Result<T>
    where
        M: Send + 'static,
        T: Send + 'static,
        A: Handler<Posted<M>>,
        A::Context: ToEnvelope<A, Posted<M>>,
    {
        let (reply, answer) = Reply::channel();
        let asked = async {
            self.post(message(reply)).await;
            answer.await.unwrap_or(Err(ActorError::Gone))
        };
        let answered = tokio::time::timeout(deadline, asked).await;
        answered.unwrap_or(Err(ActorError::Deadline { secs: deadline.as_secs() }))
    }

    fn put<M>(&self, posted: Posted<M>) -> Offered<M>
    where
        M: Send + 'static,
        A: Handler<Posted<M>>,
        A::Context: ToEnvelope<A, Posted<M>>,
    {
        match self.addr.try_send(posted) {
            Ok(()) => Offered::Taken,
            Err(SendError::Full(posted)) => Offered::Full(posted.open()),
            Err(SendError::Closed(posted)) => Offered::Gone(posted.open()),
        }
    }
}

/// Takes actix's own bound off an actor that is reached through a [`Mailbox`] only.
pub fn unbound<A: Actor<Context = Context<A>>>(ctx: &mut Context<A>) {
    ctx.set_mailbox_capacity(0);
}

/// Where an answer goes: called once, on the thread of whoever answers. Dropped unanswered it says [`ActorError::Gone`], so
/// that nobody waits for an actor that died.
pub struct Reply<T> {
    callback: Option<Answer<T>>,
    asker: Option<SessionId>,
}

type Answer<T> = Box<dyn FnOnce(Result<T>) -> Done + Send>;

/// The mark of a request's end: once it is dropped, requests that had to wait for this one begin.
pub type Done = Box<dyn Send>;

impl<T: 'static> Reply<T> {
    pub fn new(answer: impl FnOnce(Result<T>) + Send + 'static) -> Self {
        let callback = move |given| -> Done {
            answer(given);
            Box::new(())
        };
        Reply { callback: Some(Box::new(callback)), asker: None }
    }

    /// The answer to a request of a connection.
    pub fn to(asker: SessionId, answer: impl FnOnce(Result<T>) -> Done + Send + 'static) -> Self {
        Reply { callback: Some(Box::new(answer)), asker: Some(asker) }
    }

    /// Nobody cares.
    pub fn nowhere() -> Self {
        Reply { callback: None, asker: None }
    }

    pub fn asker(&self) -> Option<SessionId> {
        self.asker
    }

    pub fn send(self, answer: Result<T>) {
        drop(self.begin(answer));
    }

    /// Answers, and keeps the request from ending while there is more to say about it.
    pub fn begin(mut self, answer: Result<T>) -> Option<Done> {
        self.callback.take().map(|callback| callback(answer))
    }

    fn channel() -> (Self, oneshot::Receiver<Result<T>>)
    where
        T: Send,
    {
        let (sender, receiver) = oneshot::channel();
        let reply = Reply::new(move |answer| {
            // An asker that gave up is no error.
            let _ = sender.send(answer);
        });
        (reply, receiver)
    }
}

impl<T> Drop for Reply<T> {
    fn drop(&mut self) {
        if let Some(callback) = self.callback.take() {
            drop(callback(Err(ActorError::Gone)));
        }
    }
}

impl<T> std::fmt::Debug for Reply<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Reply<{}>", std::any::type_name::<T>())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Echo;

    impl Actor for Echo {
        type Context = Context<Self>;
        fn started(&mut self, ctx: &mut Self::Context) {
            unbound(ctx);
        }
    }

    struct Say(u32, Reply<u32>);

    impl Handler<Posted<Say>> for Echo {
        type Result = ();
        fn handle(&mut self, posted: Posted<Say>, ctx: &mut Self::Context) {
            let Say(number, reply) = posted.open();
            if number == 0 {
                ctx.stop();
            } else {
                reply.send(Ok(number));
            }
        }
    }

    #[actix::test]
    async fn the_bound_holds_for_all_clones_together() {
        let mailbox = Mailbox::new(Echo.start(), 2);
        // The actor runs on this thread and so not before the first await.
        assert!(matches!(mailbox.clone().offer(Say(1, Reply::nowhere())), Offered::Taken));
        assert!(matches!(mailbox.clone().offer(Say(2, Reply::nowhere())), Offered::Taken));
        assert!(matches!(mailbox.clone().offer(Say(3, Reply::nowhere())), Offered::Full(_)));
        assert_eq!(mailbox.ask(Duration::from_secs(5), |reply| Say(4, reply)).await, Ok(4));
    }

    #[actix::test]
    async fn an_actor_that_ends_answers_gone() {
        let mailbox = Mailbox::new(Echo.start(), 2);
        assert_eq!(mailbox.ask(Duration::from_secs(5), |reply| Say(0, reply)).await, Err(ActorError::Gone));
        assert_eq!(mailbox.ask(Duration::from_secs(5), |reply| Say(1, reply)).await, Err(ActorError::Gone));
    }
}
