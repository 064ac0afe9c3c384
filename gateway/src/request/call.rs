//! One request in progress: who asked, under which number, and the way back.

use std::sync::Arc;

use actix::dev::ToEnvelope;
use actix::prelude::*;
use futures::FutureExt;
use proscenium_actors::Subscriber;
use proscenium_actors::mailbox::{Done, Mailbox, Offered, Posted};
use proscenium_actors::{ActorError, Catalog, Outbox, Outgoing, Reply, Rope, SessionId, StreamId};
use proscenium_proto::response::Long;
use proscenium_proto::translate::error as wire_error;
use proscenium_proto::{ClientResp, frame, response};

use super::{About, Meter, Sending};

pub struct Call {
    pub(crate) msg_id: u32,
    pub(crate) entity_id: String,
    pub(crate) outbox: Arc<Outbox>,
    pub(crate) catalog: Catalog,
    pub(crate) meter: Arc<Meter>,
    pub(crate) about: About,
    /// The order that the answer stands in.
    pub(crate) stream: StreamId,
    /// Dropped when the request is done, whether it was answered or not.
    pub(crate) done: Done,
}

impl std::fmt::Debug for Call {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Call({} about \"{}\")", self.msg_id, self.entity_id)
    }
}

impl Call {
    pub fn entity_id(&self) -> &str {
        &self.entity_id
    }

    pub fn catalog(&self) -> &Catalog {
        &self.catalog
    }

    pub fn meter(&self) -> &Meter {
        &self.meter
    }

    pub fn session(&self) -> SessionId {
        self.outbox.session()
    }

    /// From now on the answer stands in a table's order.
    pub fn order_in(&mut self, stream: StreamId) {
        self.stream = stream;
    }

    /// The asker, as somebody who wants to hear more under the number of this request.
    ///
    /// Errors when the connection has as many subscriptions as it may have.
    pub fn subscriber(&self) -> Result<Subscriber, ActorError> {
        Subscriber::new(self.outbox.clone(), self.msg_id)
    }

    /// Refuses what was not even sent.
    pub fn refuse_now(self, error: ActorError) -> Sending {
        self.refuse(error);
        Sending::Taken
    }

    /// Takes the mark of this request's end out, for requests that are understood long before they are answered.
    pub fn take_done(&mut self) -> Done {
        std::mem::replace(&mut self.done, Box::new(()))
    }

    pub fn answer(self, answer: ClientResp) {
        drop(self.begin_answer(answer));
    }

    /// Answers; the request ends when what comes back is dropped.
    fn begin_answer(self, answer: ClientResp) -> Done {
        let response = response::answer(self.msg_id, self.entity_id, answer);
        self.outbox.push(self.stream, Outgoing::Reply(frame::encode(&response).into()));
        self.done
    }

    pub fn refuse(self, error: ActorError) {
        drop(self.begin_refusal(error));
    }

    fn begin_refusal(self, error: ActorError) -> Done {
        let error = self.explain(error);
        self.begin_answer(error_to_wire(&error))
    }

    /// Whoever was asked has ended: if that is because it was deleted meanwhile, this is what the client is told.
    fn explain(&self, error: ActorError) -> ActorError {
        if error != ActorError::Gone {
            return error;
        }
        match self.about {
            About::Server => error,
            About::Table => self.catalog.table(&self.entity_id).err().unwrap_or(error),
            About::View if self.catalog.table_of_view(&self.entity_id).is_none() => ActorError::ViewNotFound,
            About::View => error,
        }
    }

    /// The answer comes from somebody else, on whose thread it is encoded.
    pub fn reply<T: 'static>(self, encode: impl FnOnce(T) -> ClientResp + Send + 'static) -> Reply<T> {
        Reply::to(self.session(), move |answer| match answer {
            Ok(value) => self.begin_answer(encode(value)),
            Err(error) => self.begin_refusal(error),
        })
    }

    /// As [`Call::reply`], where the answer is one long text, or one long run of bytes: it goes out as it is.
    pub fn reply_long(self, long: Long) -> Reply<Rope> {
        Reply::to(self.session(), move |answer: Result<Rope, ActorError>| match answer {
            Ok(mut rope) => {
                rope.push_front(response::head_of_long(self.msg_id, self.entity_id, long, rope.len()));
                self.outbox.push(self.stream, Outgoing::Reply(rope));
                self.done
            }
            Err(error) => self.begin_refusal(error),
        })
    }

    /// Success is silent.
    pub fn reply_faults(self) -> Reply<()> {
        Reply::new(move |answer| {
            if let Err(error) = answer {
                self.refuse(error);
            }
        })
    }

    /// What is not there any more needs no ending: success, too.
    pub fn reply_always(self, answer: ClientResp) -> Reply<()> {
        Reply::to(self.session(), move |_| self.begin_answer(answer))
    }
}

/// Puts an order into a mailbox, now or when there is room.
pub fn send<A, M>(mailbox: &Mailbox<A>, order: M) -> Sending
where
    M: Send + 'static,
    A: Actor + Handler<Posted<M>>,
    A::Context: ToEnvelope<A, Posted<M>>,
{
    match mailbox.offer(order) {
        Offered::Taken => Sending::Taken,
        // Whoever waits for its reply hears that the actor is gone.
        Offered::Gone(_) => Sending::Taken,
        Offered::Full(order) => Sending::Waiting(mailbox.post(order).boxed()),
    }
}

/// The one place where errors become messages.
fn error_to_wire(error: &ActorError) -> ClientResp {
    match error {
        ActorError::Engine(error) => wire_error::to_wire(error),
        ActorError::ViewNotFound => wire_error::view_not_found(),
        ActorError::TableNotFound => wire_error::table_not_found(),
        ActorError::TableFailed { .. }
        | ActorError::Gone
        | ActorError::Deadline { .. }
        | ActorError::Refused(_) => wire_error::server_error(error.to_string()),
    }
}
