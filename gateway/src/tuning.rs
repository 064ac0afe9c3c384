//! Fixed bounds of the gateway, each with its unit and its reason. What an operator may change is in
//! [`crate::config::Limits`].

use std::ops::RangeInclusive;
use std::time::Duration;

/// Frames of one connection that are handled before it yields to the others on its thread: a client that sends without
/// pause would starve them.
pub const MAX_CONSECUTIVE_FRAMES: usize = 16;

/// A longer frame, and every download, is written in pieces of this many bytes, each once the socket has taken the
/// previous one. So the buffers before the socket never hold a long reply as a whole, and their copies stay in the
/// processor's cache. It remains one WebSocket frame: clients that concatenate continuation frames would copy a long
/// message once per fragment.
pub const SOCKET_PIECE_BYTES: usize = 128 * 1024;

/// A payload of up to this many bytes is copied into one buffer with its neighbours.
pub const SHORT_PAYLOAD_BYTES: usize = 4096;

/// Bytes of a received frame's buffer before any of its payload has arrived.
pub const FIRST_FRAME_BYTES: usize = 64 * 1024;

/// A compressed message of up to this many bytes is decompressed at once: it becomes a thousand times as long at most.
pub const INFLATE_INLINE_BYTES: usize = 2048;

/// Bytes that wait for a socket beyond which only the last ping is answered.
pub const WAITING_PONG_BYTES: usize = 16 * 1024;

/// Pings per window, so that an acknowledgement frees a part of the window.
pub const PINGS_PER_WINDOW: u64 = 8;

/// Time for clients to reply to the close frame when the server shuts down.
pub const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// Time for an HTTP client to take an early answer while it still sends its request, which is read and dropped.
pub const LINGER: Duration = Duration::from_secs(1);

/// Maximum size of a Flight message in bytes, such as a record batch of a bulk load. gRPC's default of 4 MiB is too small
/// for ordinary clients.
pub const FLIGHT_MESSAGE_BYTES: usize = 256 << 20;

/// Calls of one Flight connection that run at a time: more than ordinary clients make, few enough that what each holds
/// stays bounded.
pub const FLIGHT_CALLS: u32 = 128;

/// Bytes of an upload up to which it is decoded by the thread of its connection: some tens of microseconds of work.
pub const INLINE_UPLOAD_BYTES: usize = 16 << 10;

/// Bytes of a Flight put collected before they are applied: large enough for bulk speed, small enough that other requests
/// of the table wait only a fraction of a second.
pub const PUT_PIECE_BYTES: usize = 16 << 20;

/// Bytes of the pieces of a Flight put that are on their way, not acknowledged: enough that one is received, one staged, one
/// synced and one applied at a time.
pub const PUT_WINDOW_BYTES: usize = 64 << 20;

/// Maximum bytes of a replacement by Flight, which is collected as a whole.
pub const REPLACE_BYTES: usize = 4 << 30;

/// Time after which a Flight get whose client takes no more holds only what it has sent and the table as it was: much longer than
/// clients take for a piece, much shorter than a stalled one is waited for.
pub const GET_PAUSE: Duration = Duration::from_secs(2);

/// Bytes of compressed data read at a time.
pub const DECODE_PIECE_BYTES: usize = 64 * 1024;

/// Bytes that the window of a zstd stream may have, as a power of two: what its command line makes without being asked.
pub const ZSTD_WINDOW_LOG: u32 = 27;

/// Cells of a Parquet file decoded at a time: enough to amortise the cost of a batch, and some tens of MiB at most.
pub const PARQUET_BATCH_CELLS: usize = 1 << 20;

/// Rows of a Parquet file decoded at a time, however many columns it has.
pub const PARQUET_BATCH_ROWS: RangeInclusive<usize> = 1_024..=65_536;

/// Rows that a Parquet file of any length may claim.
pub const CLAIMED_ROWS: u64 = 20_000_000;

/// Rows that may be claimed per byte of the file beyond that: real files stay far below.
pub const CLAIMED_ROWS_PER_BYTE: u64 = 8;

/// Values that a Parquet file of any length may claim.
pub const CLAIMED_VALUES: u64 = 10 * CLAIMED_ROWS;

/// Values that may be claimed per byte of the file beyond that.
pub const CLAIMED_VALUES_PER_BYTE: u64 = 16;

/// Age of a reading of the process's memory that still decides a reservation: memory that is freed or taken shows within
/// it.
pub const PROBE_AGE: Duration = Duration::from_millis(50);

/// Bytes of reservations that one reading of the process's memory decides: what may be taken without notice.
pub const PROBE_BYTES: u64 = 8 << 20;

/// Least memory of a server: an empty one takes some tens of megabytes.
pub const LEAST_MEMORY_BYTES: u64 = 64 << 20;

/// Least memory of a session and of a request: small requests always go on.
pub const LEAST_REQUEST_BYTES: u64 = 1 << 20;

/// Freed bytes that make it worth giving memory back to the system, which costs some milliseconds.
pub const FREED_BYTES: u64 = 32 << 20;

/// Time in which less than [`FREED_BYTES`] must be freed before memory is given back.
pub const FREED_CALM: Duration = Duration::from_millis(500);

/// The most of these that are waited for.
pub const FREED_MOST_WAITS: usize = 60;

/// Least time between two times that memory is given back: gigabytes take some hundred milliseconds, in which threads wait
/// that allocate.
pub const FREED_PAUSE: Duration = Duration::from_secs(5);

/// Time between two looks at whether the server has failed.
pub const FAILURE_INTERVAL: Duration = Duration::from_millis(100);

/// Time for which a server that has failed answers health checks with the reason before it ends.
pub const FAILURE_NOTICE: Duration = Duration::from_secs(2);

/// Messages of a client in a session that can be resumed after which they are acknowledged.
pub const ACKNOWLEDGE_EVERY: u64 = 32;
/// Memory and passes that the check of a password may take: what a mistyped hash of the configuration must not exceed.
pub const PASSWORD_KIB: u32 = 256 << 10;
pub const PASSWORD_PASSES: u32 = 100;

/// Passwords that wait to be checked, each a login or a request: some seconds of work; beyond, they are refused.
pub const WAITING_PASSWORDS: usize = 128;

/// Gives the checks of passwords a tenth of the processor time of a thread that serves connections.
pub const PASSWORD_NICENESS: i32 = 10;

/// Time for which a right password is recognized without being checked again, and the number of such passwords.
pub const RECOGNIZED_PASSWORD: Duration = Duration::from_secs(600);
pub const RECOGNIZED_PASSWORDS: usize = 10_000;

/// Failed logins of a name and of an address after which the next ones are refused for a while: people mistype, and an
/// address may be that of an office.
pub const FREE_FAILURES_OF_NAME: u32 = 5;
pub const FREE_FAILURES_OF_ADDRESS: u32 = 20;

/// The longest time for which logins are refused after failures, and the time after which failures are forgotten.
pub const LONGEST_REFUSAL: Duration = Duration::from_secs(60);
pub const FAILURES_FORGOTTEN: Duration = Duration::from_secs(900);

/// Names and addresses whose failed logins are counted.
pub const COUNTED_LOGINS: usize = 20_000;

/// Logins that are open at a time, some hundred bytes each.
pub const LOGINS: usize = 100_000;

/// Time in which a ticket must be used, and tickets that wait.
pub const TICKET: Duration = Duration::from_secs(30);
pub const TICKETS: usize = 10_000;

/// Bytes of the credentials in a header: tokens of identity providers with many groups take a few thousand.
pub const CREDENTIAL_BYTES: usize = 32 * 1024;

/// Time for an identity provider to answer, and bytes of an answer.
pub const PROVIDER_TIMEOUT: Duration = Duration::from_secs(10);
pub const PROVIDER_BYTES: usize = 1 << 20;

/// Time after which the keys of an identity provider are fetched again, and the least time between two attempts, which
/// unknown keys in tokens may cause.
pub const PROVIDER_KEYS: Duration = Duration::from_secs(3600);
pub const PROVIDER_KEYS_RETRY: Duration = Duration::from_secs(10);

/// Logins at an identity provider that have begun, and the time in which one must end.
pub const PENDING_LOGINS: usize = 10_000;
pub const PENDING_LOGIN: Duration = Duration::from_secs(600);

/// Interval at which the files of the configuration are looked at for changes.
pub const RELOAD_INTERVAL: Duration = Duration::from_secs(2);

/// Lines of the audit that wait to be written; beyond, lines are counted instead.
pub const AUDIT_LINES: usize = 4096;

/// TLS handshakes of Flight that run at a time, each bounded by `limits.header_seconds`.
pub const TLS_HANDSHAKES: usize = 1024;
