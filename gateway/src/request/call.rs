//! A running request: its connection, its number, and its replies.

use std::sync::Arc;

use actix::dev::ToEnvelope;
use actix::prelude::*;
use futures::FutureExt;
use proscenium_actors::Subscriber;
use proscenium_actors::mailbox::{Done, Mailbox, Offered, Posted};
use proscenium_actors::{ActorError, Catalog, Outbox, Outgoing, Reply, Rope, SessionId, StreamId};
use proscenium_proto::response::LongReply;
use proscenium_proto::translate::error as wire_error;
use proscenium_proto::{ClientResp, frame, response};

use super::{About, Meter, Sending};

/// A running request.
pub struct Call {
    pub(crate) msg_id: u32,
    pub(crate) entity_id: String,
    pub(crate) outbox: Arc<Outbox>,
    pub(crate) catalog: Catalog,
    pub(crate) meter: Arc<Meter>,
    pub(crate) about: About,
    /// The stream that the reply is sent in.
    pub(crate) stream: StreamId,
    /// Dropped when the request ends, with or without a reply.
    pub(crate) done: Done,
}

impl std::fmt::Debug for Call {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Call({} about \"{}\")", self.msg_id, self.entity_id)
    }
}

impl Call {
    /// The name of the table, or the id of the view, that the request is about.
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

    /// Sends the reply in the stream of a table.
    pub fn set_stream(&mut self, stream: StreamId) {
        self.stream = stream;
    }

    /// Creates a subscription of the connection, under the number of this request.
    ///
    /// # Errors
    ///
    /// The connection has reached its limit of subscriptions.
    pub fn subscriber(&self) -> Result<Subscriber, ActorError> {
        Subscriber::new(self.outbox.clone(), self.msg_id)
    }

    /// Replies with an error before any message was sent.
    pub fn refuse_now(self, error: ActorError) -> Sending {
        self.refuse(error);
        Sending::Taken
    }

    /// Takes the guard of this request, for requests that release their locks before the reply is sent.
    pub fn take_done(&mut self) -> Done {
        std::mem::replace(&mut self.done, Box::new(()))
    }

    /// Sends the reply and ends the request.
    pub fn respond(self, response: ClientResp) {
        drop(self.begin_response(response));
    }

    /// Sends the reply; the request ends when the returned guard is dropped.
    fn begin_response(self, response: ClientResp) -> Done {
        let response = response::build(self.msg_id, self.entity_id, response);
        self.outbox.push(self.stream, Outgoing::Reply(frame::encode(&response).into()));
        self.done
    }

    /// Replies with an error and ends the request.
    pub fn refuse(self, error: ActorError) {
        drop(self.begin_refusal(error));
    }

    fn begin_refusal(self, error: ActorError) -> Done {
        let error = self.explain(error);
        self.begin_response(error_to_wire(&error))
    }

    /// Replaces [`ActorError::Gone`] by the reason for it, if the table or view was deleted meanwhile.
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

    /// Creates a reply for an actor, which encodes it on its own thread.
    pub fn reply<T: 'static>(self, encode: impl FnOnce(T) -> ClientResp + Send + 'static) -> Reply<T> {
        Reply::to(self.session(), move |answer| match answer {
            Ok(value) => self.begin_response(encode(value)),
            Err(error) => self.begin_refusal(error),
        })
    }

    /// As [`Call::reply`], for a reply with one long text or byte string, which is sent without a copy.
    pub fn reply_long(self, long: LongReply) -> Reply<Rope> {
        Reply::to(self.session(), move |answer: Result<Rope, ActorError>| match answer {
            Ok(mut rope) => {
                rope.push_front(response::long_reply_header(self.msg_id, self.entity_id, long, rope.len()));
                self.outbox.push(self.stream, Outgoing::Reply(rope));
                self.done
            }
            Err(error) => self.begin_refusal(error),
        })
    }

    /// Creates a reply that is sent on errors only.
    pub fn reply_errors(self) -> Reply<()> {
        Reply::new(move |answer| {
            if let Err(error) = answer {
                self.refuse(error);
            }
        })
    }

    /// Creates a reply that reports success whatever the result: ending a subscription that does not exist is no error.
    pub fn reply_always(self, response: ClientResp) -> Reply<()> {
        Reply::to(self.session(), move |_| self.begin_response(response))
    }
}

/// Sends a message to a mailbox, now or when there is room.
pub fn send<A, M>(mailbox: &Mailbox<A>, message: M) -> Sending
where
    M: Send + 'static,
    A: Actor + Handler<Posted<M>>,
    A::Context: ToEnvelope<A, Posted<M>>,
{
    match mailbox.offer(message) {
        Offered::Taken => Sending::Taken,
        // The dropped message replies with `Gone`.
        Offered::Gone(_) => Sending::Taken,
        Offered::Full(message) => Sending::Waiting(mailbox.post(message).boxed()),
    }
}

/// Maps errors to the protocol's messages.
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
