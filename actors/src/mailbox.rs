//! Bounded mailboxes: `offer` (returns at once), `post` (waits for room) and `ask` (waits for a reply, with a
//! deadline).
//!
//! Invariant: a mailbox never holds more messages than its capacity, however many senders it has. actix bounds a
//! mailbox per sender: each clone of an address may send one message more, and a sender that waits on a full mailbox is
//! not always woken. The bound is therefore a semaphore, whose permit travels with the message and is released when the
//! message's handler starts.

use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use actix::dev::ToEnvelope;
use actix::prelude::*;
use proscenium_engine::interrupt::Interrupt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use crate::error::{ActorError, Result};
use crate::outbox::SessionId;

/// A message in a mailbox, with the permit for its position.
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
    /// The message.
    pub fn message(&self) -> &M {
        &self.message
    }

    /// Returns the message and releases its permit.
    pub fn open(self) -> M {
        self.message
    }
}

impl<M> Message for Posted<M> {
    type Result = ();
}

/// The result of [`Mailbox::offer`].
#[derive(Debug)]
pub enum Offered<M> {
    /// The message was sent.
    Taken,
    /// The mailbox is full.
    Full(M),
    /// The actor has stopped.
    Gone(M),
}

/// The bound of a mailbox. It exists before the actor starts, so that an actor can hold its own mailbox from the start.
#[derive(Debug, Clone)]
pub struct MailboxBound {
    capacity: usize,
    room: Arc<Semaphore>,
}

impl MailboxBound {
    /// Creates a bound of `capacity` messages.
    pub fn new(capacity: usize) -> Self {
        MailboxBound { capacity, room: Arc::new(Semaphore::new(capacity)) }
    }

    /// Returns the mailbox of `addr`, limited by this bound. The actor must call [`unbound`] when it starts.
    pub fn mailbox<A: Actor>(&self, addr: Addr<A>) -> Mailbox<A> {
        Mailbox { addr, capacity: self.capacity, room: self.room.clone() }
    }
}

/// The bounded mailbox of an actor. Clones share the bound.
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
    /// Creates a mailbox of `capacity` messages. The actor must call [`unbound`] when it starts.
    pub fn new(addr: Addr<A>, capacity: usize) -> Self {
        MailboxBound::new(capacity).mailbox(addr)
    }

    /// Whether the actor has stopped.
    pub fn is_gone(&self) -> bool {
        !self.addr.connected()
    }

    /// Number of messages that are sent and not handled yet.
    pub fn num_waiting(&self) -> usize {
        self.capacity - self.room.available_permits().min(self.capacity)
    }

    /// Sends a message if there is room, without waiting.
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

    /// Waits for room, first come first served, then sends. A message to a stopped actor is dropped, and its
    /// [`Reply`] resolves to [`ActorError::Gone`].
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

    /// Sends the message that `message` creates from a reply, and waits for that reply.
    ///
    /// # Errors
    ///
    /// [`ActorError::Gone`] if the actor stops first, [`ActorError::Deadline`] after `deadline`, or the actor's own
    /// error.
    pub async fn ask<M, T>(&self, deadline: Duration, message: impl FnOnce(Reply<T>) -> M) -> Result<T>
    where
        M: Send + 'static,
        T: Send + 'static,
        A: Handler<Posted<M>>,
        A::Context: ToEnvelope<A, Posted<M>>,
    {
        let (reply, receiver) = Reply::channel();
        let request = async {
            self.post(message(reply)).await;
            receiver.await.unwrap_or(Err(ActorError::Gone))
        };
        let result = tokio::time::timeout(deadline, request).await;
        result.unwrap_or(Err(ActorError::Deadline { secs: deadline.as_secs() }))
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

/// Removes actix's own bound from an actor that only a [`Mailbox`] sends to.
pub fn unbound<A: Actor<Context = Context<A>>>(ctx: &mut Context<A>) {
    ctx.set_mailbox_capacity(0);
}

/// A callback for the result of a request. It is called exactly once, on the replying thread; dropped without a result
/// it is called with [`ActorError::Gone`], so that no caller waits for an actor that panicked.
pub struct Reply<T> {
    callback: Option<Callback<T>>,
    asker: Option<SessionId>,
    /// `None`: it is awaited, or nobody can tell.
    is_awaited: Option<IsAwaited>,
}

type Callback<T> = Box<dyn FnOnce(Result<T>) -> Done + Send>;

/// Whether somebody still waits for a result. Callable from any thread.
pub type IsAwaited = Arc<dyn Fn() -> bool + Send + Sync>;

/// A guard of a running request: requests that wait for this one start once it is dropped.
pub type Done = Box<dyn Send>;

impl<T: 'static> Reply<T> {
    /// Creates a reply to a caller inside the server.
    pub fn new(callback: impl FnOnce(Result<T>) + Send + 'static) -> Self {
        let callback = move |result| -> Done {
            callback(result);
            Box::new(())
        };
        Reply { callback: Some(Box::new(callback)), asker: None, is_awaited: None }
    }

    /// Creates a reply to a request of the connection `asker`, which `is_awaited` until the connection ends.
    pub fn to(
        asker: SessionId,
        is_awaited: impl Fn() -> bool + Send + Sync + 'static,
        callback: impl FnOnce(Result<T>) -> Done + Send + 'static,
    ) -> Self {
        let is_awaited: IsAwaited = Arc::new(is_awaited);
        Reply { callback: Some(Box::new(callback)), asker: Some(asker), is_awaited: Some(is_awaited) }
    }

    /// Whether somebody still waits for the result: the connection has not ended, or the request was not cancelled.
    pub fn is_awaited(&self) -> bool {
        self.is_awaited.as_ref().is_none_or(|is_awaited| is_awaited())
    }

    /// As [`Reply::is_awaited`], for later; `None`: nobody can tell.
    pub fn awaited(&self) -> Option<IsAwaited> {
        self.is_awaited.clone()
    }

    /// Ends work for this reply once nobody waits for it.
    pub fn interrupt(&self) -> Interrupt {
        let is_awaited = self.is_awaited.clone();
        Interrupt::new(move || is_awaited.as_ref().is_some_and(|is_awaited| !is_awaited()))
    }

    /// Creates a reply that discards its result.
    pub fn ignored() -> Self {
        Reply { callback: None, asker: None, is_awaited: None }
    }

    /// Lets a function see the result before it is sent.
    #[must_use]
    pub fn observed(mut self, observe: impl FnOnce(&Result<T>) + Send + 'static) -> Self {
        let callback = self.callback.take();
        self.callback = Some(Box::new(move |result| {
            observe(&result);
            match callback {
                Some(callback) => callback(result),
                None => Box::new(()),
            }
        }));
        self
    }

    /// The connection that sent the request, if one did.
    pub fn asker(&self) -> Option<SessionId> {
        self.asker
    }

    /// Sends the result and completes the request.
    pub fn send(self, result: Result<T>) {
        drop(self.begin(result));
    }

    /// Sends the result; the request is complete once the returned guard is dropped. Notifications that must precede
    /// the connection's next request are sent meanwhile.
    pub fn begin(mut self, result: Result<T>) -> Option<Done> {
        self.callback.take().map(|callback| callback(result))
    }

    /// Creates a reply to a caller that awaits the result, and the receiver of it.
    pub fn channel() -> (Self, oneshot::Receiver<Result<T>>)
    where
        T: Send,
    {
        let (sender, receiver) = oneshot::channel();
        let sender = Arc::new(Mutex::new(Some(sender)));
        let is_awaited: IsAwaited = {
            let sender = sender.clone();
            Arc::new(move || {
                let sender = sender.lock().unwrap_or_else(PoisonError::into_inner);
                sender.as_ref().is_some_and(|sender| !sender.is_closed())
            })
        };
        let mut reply = Reply::new(move |result| {
            // The caller's deadline may have passed.
            let sender = sender.lock().unwrap_or_else(PoisonError::into_inner).take();
            let _ = sender.map(|sender| sender.send(result));
        });
        reply.is_awaited = Some(is_awaited);
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

    struct EchoRequest(u32, Reply<u32>);

    impl Handler<Posted<EchoRequest>> for Echo {
        type Result = ();
        fn handle(&mut self, posted: Posted<EchoRequest>, ctx: &mut Self::Context) {
            let EchoRequest(number, reply) = posted.open();
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
        // The actor runs on this thread, so it handles nothing before the first await.
        assert!(matches!(mailbox.clone().offer(EchoRequest(1, Reply::ignored())), Offered::Taken));
        assert!(matches!(mailbox.clone().offer(EchoRequest(2, Reply::ignored())), Offered::Taken));
        assert!(matches!(mailbox.clone().offer(EchoRequest(3, Reply::ignored())), Offered::Full(_)));
        assert_eq!(mailbox.ask(Duration::from_secs(5), |reply| EchoRequest(4, reply)).await, Ok(4));
    }

    #[actix::test]
    async fn an_actor_that_stops_replies_gone() {
        let mailbox = Mailbox::new(Echo.start(), 2);
        assert_eq!(
            mailbox.ask(Duration::from_secs(5), |reply| EchoRequest(0, reply)).await,
            Err(ActorError::Gone)
        );
        assert_eq!(
            mailbox.ask(Duration::from_secs(5), |reply| EchoRequest(1, reply)).await,
            Err(ActorError::Gone)
        );
    }
}
