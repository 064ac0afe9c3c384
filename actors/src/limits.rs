//! Limits on what connections may use, set by the operator. Each refusal names the limit that was exceeded.

/// Resource limits. The defaults suit a server with a few gigabytes of memory and browsers as clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Tables of the whole server. An empty table takes a few kilobytes.
    pub tables: usize,
    /// Views that one connection may have open. A page uses tens; a client that never deletes its views gets an error
    /// before the server runs out of memory.
    pub views_per_session: usize,
    /// Subscriptions (to updates, removals, deletions, hosted tables) of one connection, for the same reason.
    pub subscriptions_per_session: usize,
    /// Bytes of one reply. Clients hold a reply in memory as a whole, and browsers cannot hold more than this.
    pub export_bytes: usize,
    /// Bytes of pending notifications of one connection beyond which its updates with rows are merged. Large enough
    /// that a short stall merges nothing, small enough that thousands of slow readers fit into memory.
    pub merge_bytes: usize,
    /// Bytes of pending notifications of one connection beyond which it is closed. Only notifications that cannot be
    /// merged reach it: keys of removed rows, and many updates at once. A single message of any size is accepted.
    pub pending_notification_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            tables: 100_000,
            views_per_session: 10_000,
            subscriptions_per_session: 10_000,
            export_bytes: 1 << 30,
            merge_bytes: 1 << 20,
            pending_notification_bytes: 64 << 20,
        }
    }
}
