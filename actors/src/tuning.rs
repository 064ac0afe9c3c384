//! Every bound of the actors, with its unit and its reason.

use std::time::Duration;

/// Orders that may wait in one table's mailbox. A session that finds it full waits its turn; enough that a table is
/// never idle between two sessions, small enough that what waits is measured in megabytes.
pub const TABLE_MAILBOX: usize = 1024;

/// Orders that a table handles before the other actors on its thread (views, other tables) have a turn.
pub const ORDERS_IN_A_ROW: usize = 16;

/// Orders that may wait at the catalog: makings of tables, which are rare.
pub const CATALOG_MAILBOX: usize = 1024;

/// Cells (rows × columns) up to which a view actor writes an answer itself. Beyond, a worker thread does: ten thousand
/// cells are well under a millisecond, what handing over and coming back costs a few times over.
pub const INLINE_CELLS: usize = 10_000;

/// Deltas that may wait for one busy view before its table merges them: enough that a short hiccup keeps every update
/// apart, small enough that the snapshots they hold stay few.
pub const WAITING_DELTAS: usize = 64;

/// Messages waiting in a connection's way out before plain update notices about the same view and port become one.
/// A connection that keeps up never has that many waiting, so it hears of every update.
pub const COLLAPSE_AFTER: usize = 64;

/// Bytes of news (a count of its own fields) that a message without rows is taken to hold.
pub const NOTIFICATION_OVERHEAD_BYTES: usize = 128;

/// Names of failed tables that are remembered, so that later requests hear why they are gone.
pub const REMEMBERED_FAILURES: usize = 256;

/// How long an `ask` from inside the server (HTTP, Flight) waits by default: a build of a very large view takes seconds.
pub const ASK_DEADLINE: Duration = Duration::from_secs(60);

/// Stack of a worker thread, bytes: deeply nested input is parsed there.
pub const WORKER_STACK_BYTES: usize = 8 << 20;

/// Threads that building one view, or computing its columns, may take: all cores. A build is short and somebody waits for it; the threads end with
/// it, and the system shares the cores between builds at once.
pub fn build_threads() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Batches that are kept apart for columns under way, so that what is kept stays within some megabytes; beyond, those
/// between which nobody looks are merged.
pub const DELTAS_TO_CATCH_UP: usize = 4096;

/// Batches that a column which was computed elsewhere follows in its table's turn: few, since a window may look at all
/// its rows for each of them. More are followed on a worker.
pub const DELTAS_TO_FOLLOW_AT_ONCE: usize = 4;

/// Times that a worker is sent after a table. Each round has only what happened in the one before, so a few are enough
/// unless the writer is faster than the column; then the writer waits, once.
pub const FOLLOWING_ROUNDS: usize = 32;
