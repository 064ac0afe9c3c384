//! Parts of loads: one that the table has is answered as the first time, and not applied again.
//!
//! Invariant: that is decided when a write gets its place in the table's order, of what was applied and of what is on its way
//! to the log. So of two senders of the same part, one applies it and both are answered once it is durable.

use proscenium_engine::error::HostingError;
use proscenium_engine::hosting::{Answer, WritePosition};
use proscenium_engine::table::{AppliedLoad, LoadStep};

use super::TableActor;
use super::batch::Writing;
use super::pending_writes::OfLoad;
use crate::error::{ActorError, Result};
use crate::mailbox::Reply;

impl TableActor {
    /// Returns a write that is to be applied. One that the table has, or that does not come next, is answered.
    pub(super) fn next_of_load(&mut self, writing: Writing) -> Option<Writing> {
        let Some(mark) = writing.mark.clone() else { return Some(writing) };
        let step = match self.pending.of_load(&mark) {
            OfLoad::None => self.table.loads().map_or(LoadStep::Apply, |loads| loads.step(&mark)),
            OfLoad::Before(step) => step,
            OfLoad::Has(first) => {
                let reply = std::mem::replace(&mut first.writing.reply, Reply::ignored());
                first.writing.reply = both(reply, writing.reply);
                return None;
            }
        };
        let answer = match step {
            LoadStep::Apply => return Some(writing),
            LoadStep::Applied(AppliedLoad { version, epoch, is_created, .. }) => {
                // Versions count what others write, too.
                let epoch = epoch.filter(|_| writing.access.is_none());
                let position = epoch.map(|epoch| WritePosition { epoch, version });
                Ok(Answer::Replayed { position, is_created })
            }
            LoadStep::Gap { expected } => Err(ActorError::LoadGap { expected }),
            LoadStep::Reused => Err(ActorError::KeyReused),
            LoadStep::Exists => Err(HostingError::TableExists { name: self.name.to_string() }.into()),
        };
        writing.reply.send(answer);
        None
    }
}

/// A reply to the sender of a write, and to one who has sent it again.
fn both(first: Reply<Answer>, again: Reply<Answer>) -> Reply<Answer> {
    Reply::new(move |answer: Result<Answer>| {
        let replayed = match &answer {
            Ok(answer) => Ok(Answer::Replayed { position: answer.position(), is_created: false }),
            Err(error) => Err(error.clone()),
        };
        first.send(answer);
        again.send(replayed);
    })
}
