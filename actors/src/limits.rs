//! What connections may ask of the actors. Set by whoever starts the server; each refusal names the bound it met.

/// The defaults suit a server of some gigabytes that faces browsers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Tables of the whole server. An empty table costs some kilobytes.
    pub tables: usize,
    /// Views that one connection may have open: a page has tens; a client that forgets to delete them meets an error
    /// that says so before the server runs out of memory.
    pub views_per_session: usize,
    /// Subscriptions (to updates, removals, deletions, hosted tables) of one connection, for the same reason.
    pub subscriptions_per_session: usize,
    /// Bytes of one answer. Clients hold answers in memory as a whole, and browsers hold less than this.
    pub export_bytes: usize,
    /// Bytes of news waiting for one connection beyond which its updates with rows merge: enough that a hiccup merges
    /// nothing, small enough that thousands of slow readers fit into memory.
    pub merge_bytes: usize,
    /// Bytes of news waiting for one connection beyond which it is given up. Only what does not merge gets there, the
    /// keys of removed rows and many updates at once; one message of any size may always wait.
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
