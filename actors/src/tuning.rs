//! Fixed bounds of the actors, each with its unit and its reason.

use std::sync::OnceLock;
use std::time::Duration;

/// Messages that one table's mailbox holds; a session that finds it full waits for room. Large enough that a table is
/// never idle between two sessions, small enough that the pending messages take a few megabytes.
pub const TABLE_MAILBOX: usize = 1024;

/// Messages that a table handles before it yields to the other actors on its thread (views, other tables).
pub const MAX_CONSECUTIVE_MESSAGES: usize = 16;

/// Messages that the catalog's mailbox holds: requests to create a table, which are rare.
pub const CATALOG_MAILBOX: usize = 1024;

/// Expected time up to which a table or view takes a step on its own thread; a longer one is left to a worker, while the
/// other actors of the thread go on. A few dozen times the cost of the way to a worker and back.
pub const INLINE_STEP: Duration = Duration::from_millis(2);

/// Time after which a table that handles messages yields to the other actors on its thread.
pub const YIELD_AFTER: Duration = Duration::from_millis(2);

/// Views of a connection that ended which a table closes before it yields to the other actors on its thread.
pub const CLOSED_AT_ONCE: usize = 128;

/// Units of work as which a smaller step is counted: what is not counted weighs more there.
pub const LEAST_STEP_WORK: usize = 1000;

/// Nanoseconds that a cell is assumed to take until steps of an actor were measured.
pub const NANOS_PER_CELL: f64 = 100.0;

/// Nanoseconds that a byte of a write is assumed to take to be read, until writes of a table were measured.
pub const NANOS_PER_BYTE: f64 = 20.0;

/// Cells (rows × columns) up to which a view actor takes and writes a reply itself; a larger reply is left to a worker
/// thread. Ten thousand cells take about a millisecond, a few times the cost of the round trip to a worker.
pub const INLINE_CELLS: usize = 10_000;

/// Items of a view's configuration (columns, operands, bytes of expressions) and columns of its table up to which a table
/// checks it itself.
pub const INLINE_PLAN_ITEMS: usize = 4000;

/// Deltas queued for one busy view before its table merges them. Large enough that a short stall merges nothing, small
/// enough that few old snapshots are kept alive.
pub const WAITING_DELTAS: usize = 64;

/// Messages queued in an outbox before update notifications without rows are collapsed into one per subscription and
/// port. A connection that keeps up never has that many queued, so it receives every notification.
pub const COLLAPSE_AFTER: usize = 64;

/// Bytes that a notification is counted as in addition to its payload: the size of its fields.
pub const NOTIFICATION_OVERHEAD_BYTES: usize = 128;

/// Names of failed tables that are remembered, so that later requests for them get a specific error.
pub const REMEMBERED_FAILURES: usize = 256;

/// Default deadline of an `ask` from inside the server (HTTP, Flight): building a very large view takes seconds.
pub const ASK_DEADLINE: Duration = Duration::from_secs(60);

/// Worker threads per core that are kept: more than one, so that a small job does not wait for a large one.
pub const WORKERS_PER_CORE: usize = 2;

/// Worker threads per core that run at a time: as many long jobs of different clients share the processors before a short
/// one waits for them. Each takes a stack and, while it works, memory of its own.
pub const MOST_WORKERS_PER_CORE: usize = 8;

/// Time after which a worker thread without work ends, if there are more than [`WORKERS_PER_CORE`].
pub const IDLE_WORKER: Duration = Duration::from_secs(10);

/// Jobs that a table, or the server, may run for each one of a session: many clients wait for them.
pub const SHARED_WORK_WEIGHT: usize = 4;

/// Gives a worker a tenth of the processor time of a socket or table thread when both are runnable.
pub const WORKER_NICENESS: i32 = 10;

/// Number of changed rows below which the changes that one lagging connection waits for are not merged.
pub const MERGE_AFTER_ROWS: usize = 4096;

/// Stack size of a worker thread, in bytes: deeply nested input is parsed there.
pub const WORKER_STACK_BYTES: usize = 8 << 20;

/// Threads that building one view, computing its columns, or reading a large load may use: all cores. Each is short and
/// a client waits for it; its threads end with it, and the operating system shares the cores between concurrent builds.
pub fn build_threads() -> usize {
    // Determining it reads files.
    static NUM_CORES: OnceLock<usize> = OnceLock::new();
    *NUM_CORES.get_or_init(|| std::thread::available_parallelism().map_or(1, usize::from))
}

/// Batches kept separately for running backfills, which bounds the catch-up log to some megabytes. Beyond it, batches
/// are merged unless a version between them is still needed.
pub const DELTAS_TO_CATCH_UP: usize = 4096;

/// Batches that a finished backfill catches up with in the table's message handler. Few, since a window may read all of
/// its rows for each batch; more are caught up with on a worker.
pub const DELTAS_TO_FOLLOW_AT_ONCE: usize = 4;

/// Rounds of catching up on a worker. Each round covers only the batches applied during the previous one, so a few are
/// enough unless the writer is faster than the backfill; the table then catches up itself, blocking the writer once.
pub const FOLLOWING_ROUNDS: usize = 32;

/// Bytes of a batch up to which a durable table writes its record itself; a larger one is left to a worker. Writing 256 KiB
/// takes about a tenth of a millisecond.
pub const INLINE_RECORD_BYTES: usize = 256 << 10;

/// Deadline for making a table that follows others at the start: a join of large tables takes seconds.
pub const RECOVERY_DEADLINE: Duration = Duration::from_secs(3600);

/// Time between two looks at whether a checkpoint is due: a fraction of what a disk takes to write the least log of one.
pub const CHECKPOINT_INTERVAL: Duration = Duration::from_millis(250);

/// Time after a checkpoint that failed, as on a full disk, until the next is tried.
pub const CHECKPOINT_RETRY: Duration = Duration::from_secs(10);

/// Bytes of pending notifications beyond which those of a session without a connection are merged: after a short break a
/// client receives what it would have received without, and many that wait take little memory.
pub const DETACHED_BYTES: usize = 64 * 1024;
