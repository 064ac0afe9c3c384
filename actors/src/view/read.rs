//! Reads of a view through one of its handles.

use bytes::Bytes;
use proscenium_engine::hosting::{Answer, SliceFormat, SliceRequest, ViewRead};
use proscenium_engine::view::{View, ViewSlice};

use super::Held;
use crate::error::{ActorError, Result};
use crate::mailbox::Reply;
use crate::tuning;
use crate::workers::{JobOwner, Workers};

/// Executes a read of bounded size.
pub(super) fn answer(read: &ViewRead, reply: Reply<Answer>, view: &mut View, held: &mut Held) {
    if read.changes_handle() {
        held.same_rows_as = None;
    }
    reply.send(read.answer(view, &mut held.handle).map_err(ActorError::from));
}

/// Takes the slice now; encodes it now if it is small, on a worker thread otherwise.
pub(super) fn slice(
    request: SliceRequest,
    reply: Reply<Answer>,
    view: &mut View,
    held: &mut Held,
    workers: &Workers,
    limit_bytes: usize,
) {
    let cells = request.num_cells(view, &mut held.handle);
    // Refuses a slice that must exceed the limit before any work is done: a cell takes at least one bit (a boolean in
    // Arrow).
    if let Err(error) = within(cells / 8, limit_bytes) {
        return reply.send(Err(error));
    }
    let slice = request.take(view, &mut held.handle);
    let owner = JobOwner::of(reply.asker());
    let encode = move || reply.send(encode(slice, request.format, limit_bytes));
    // A small slice is encoded on this thread alone, whatever the number of cores.
    if cells <= tuning::INLINE_CELLS || request.format == SliceFormat::Unencoded {
        encode();
    } else {
        workers.start_job(owner, encode);
    }
}

fn encode(slice: ViewSlice, format: SliceFormat, limit_bytes: usize) -> Result<Answer> {
    let answer = format.encode(slice, tuning::build_threads())?;
    if let Answer::Encoded(_, pieces) = &answer {
        within(pieces.iter().map(Bytes::len).sum(), limit_bytes)?;
    }
    Ok(answer)
}

fn within(num_bytes: usize, limit_bytes: usize) -> Result<()> {
    match num_bytes <= limit_bytes {
        true => Ok(()),
        false => Err(ActorError::ReplyTooLong { limit_bytes }),
    }
}
