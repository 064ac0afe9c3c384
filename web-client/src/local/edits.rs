//! Edits by users of a replicated table, which its page forwards to the server.

use bytes::Bytes;
use proscenium_engine::TableData;

/// Identifies a subscription of [`LocalServer::watch_edits`](super::LocalServer::watch_edits).
pub type EditWatch = u32;

/// An update of a watched table, as its client sent it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edit {
    pub watch: EditWatch,
    /// The clients' name of the format: `csv`, `json`, `columns`, `ndjson` or `arrow`.
    pub format: &'static str,
    pub data: Bytes,
}

/// The watched tables and the edits that were not taken yet.
#[derive(Debug, Default)]
pub(super) struct EditWatches {
    /// Each with its table, and the port of its feed, whose updates are no edits.
    watches: Vec<(EditWatch, String, u32)>,
    last_watch: EditWatch,
    edits: Vec<Edit>,
}

impl EditWatches {
    pub(super) fn watch(&mut self, table: String, feed_port: u32) -> EditWatch {
        let watch = self.last_watch;
        self.last_watch += 1;
        self.watches.push((watch, table, feed_port));
        watch
    }

    pub(super) fn forget_table(&mut self, table: &str) {
        self.watches.retain(|(_, watched, _)| watched != table);
    }

    pub(super) fn take(&mut self) -> Vec<Edit> {
        std::mem::take(&mut self.edits)
    }

    /// Keeps an applied update for those that watch its table.
    pub(super) fn note(&mut self, table: &str, port_id: u32, data: &TableData) {
        if port_id == 0 {
            return;
        }
        let (format, bytes): (_, &[u8]) = match data {
            TableData::Rows(text) => ("json", text.as_bytes()),
            TableData::Columns(text) => ("columns", text.as_bytes()),
            TableData::Ndjson(text) => ("ndjson", text.as_bytes()),
            TableData::Csv(bytes) | TableData::Delimited(bytes, _) => ("csv", bytes),
            TableData::Arrow(bytes) => ("arrow", bytes),
            TableData::Schema(_) | TableData::Batches(..) | TableData::Stream(_) => return,
        };
        for (watch, watched, feed_port) in &self.watches {
            if watched == table && *feed_port != port_id {
                self.edits.push(Edit { watch: *watch, format, data: Bytes::copy_from_slice(bytes) });
            }
        }
    }
}
