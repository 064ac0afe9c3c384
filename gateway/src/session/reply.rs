//! The reply to a request: encodes the answer on the thread that computed it, and appends it to the connection's outbox.
//!
//! Cost: the pieces of a long answer are not copied.

use std::sync::Arc;

use proscenium_actors::mailbox::Done;
use proscenium_actors::outbox::Closed;
use proscenium_actors::{ActorError, Outbox, Outgoing, Reply, Rope, StreamId};
use proscenium_engine::hosting::{Answer, Subject};
use proscenium_proto::call::encode_response;
use proscenium_proto::call::{self, EncodedReply};

use crate::command_router::CommandRouter;
use crate::wire_errors;

/// Where the answer to a request goes.
pub(super) struct ReplyTarget {
    pub(super) outbox: Arc<Outbox>,
    pub(super) router: CommandRouter,
    /// The stream that the reply is sent in.
    pub(super) stream: StreamId,
    pub(super) msg_id: u32,
    pub(super) entity_id: String,
    pub(super) subject: Subject,
    /// The answer if the table or view ends before it answers; `None`: an error.
    pub(super) answer_if_gone: Option<Box<Answer>>,
    /// Dropped when the request has ended.
    pub(super) done: Done,
}

impl ReplyTarget {
    /// Creates the reply that the command carries.
    pub(super) fn into_reply(self) -> Reply<Answer> {
        let outbox = self.outbox.clone();
        let is_awaited = move || outbox.closed() != Some(Closed::Ended);
        Reply::to(self.outbox.session(), is_awaited, move |answer| self.send(answer))
    }

    fn send(self, answer: Result<Answer, ActorError>) -> Done {
        let answer = match (answer, self.answer_if_gone) {
            (Err(ActorError::Gone), Some(answer)) => Ok(*answer),
            (answer, _) => answer,
        };
        let encoded = match answer {
            Ok(answer) => call::encode(self.msg_id, self.entity_id, answer),
            Err(error) => {
                let error = explain(error, self.subject, &self.entity_id, &self.router);
                let frame = encode_response(self.msg_id, self.entity_id, wire_errors::to_websocket(&error));
                Some(EncodedReply::Whole(frame))
            }
        };
        let frame = encoded.map(|encoded| match encoded {
            EncodedReply::Whole(frame) => Rope::from(frame),
            EncodedReply::Pieces(pieces) => pieces.into_iter().collect(),
        });
        if let Some(frame) = frame {
            self.outbox.push(self.stream, Outgoing::Reply(frame));
        }
        self.done
    }
}

/// Replaces [`ActorError::Gone`] by the reason for it, if the table or view was deleted meanwhile.
fn explain(error: ActorError, subject: Subject, entity_id: &str, router: &CommandRouter) -> ActorError {
    if error != ActorError::Gone {
        return error;
    }
    match subject {
        Subject::Server => error,
        Subject::Table | Subject::View => router.find(subject, entity_id).err().unwrap_or(error),
    }
}
