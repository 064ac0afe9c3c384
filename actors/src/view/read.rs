//! Reads of a view through one of its handles.

use proscenium_engine::export::ExportBudget;
use proscenium_engine::hosting::{Answer, SliceFormat, SliceRequest, ViewRead};
use proscenium_engine::view::View;

use super::state::{Held, ReadContext};
use crate::error::ActorError;
use crate::mailbox::Reply;
use crate::tuning;
use crate::workers::JobOwner;

/// Executes a read of bounded size.
pub(super) fn answer(read: &ViewRead, reply: Reply<Answer>, view: &mut View, held: &mut Held) {
    if read.changes_handle() {
        held.same_rows_as = None;
    }
    reply.send(read.answer(view, &mut held.handle).map_err(ActorError::from));
}

/// Takes the slice now; encodes it now if it is small, on a worker thread otherwise.
///
/// A slice that does not fit is refused before any of it is gathered, by the least that it can be in its format. One that
/// nobody waits for any more is not taken, and its encoding ends between two pieces.
pub(super) fn slice(
    request: SliceRequest,
    reply: Reply<Answer>,
    view: &mut View,
    held: &mut Held,
    context: &ReadContext,
    budget: ExportBudget,
) {
    if !reply.is_awaited() {
        return;
    }
    let size = request.size(view, &mut held.handle);
    let taken = budget
        .check(request.format.least_bytes(&size))
        .and_then(|()| request.take(view, &mut held.handle, budget.memory(), tuning::build_threads()));
    let slice = match taken {
        Ok(slice) => slice,
        Err(error) => return reply.send(Err(error.into())),
    };
    let encode = move || {
        let answer = request.format.encode(slice, tuning::build_threads(), &budget);
        answer.map_err(ActorError::from)
    };
    // A small slice is encoded on this thread alone, whatever the number of cores.
    if size.num_cells() <= tuning::INLINE_CELLS || request.format == SliceFormat::Unencoded {
        return reply.send(encode());
    }
    context.workers.start_job(JobOwner::of(reply.asker()), move || {
        // Otherwise the reply is dropped.
        if let Ok(answer) = reply.interrupt().run(encode) {
            reply.send(answer);
        }
    });
}
