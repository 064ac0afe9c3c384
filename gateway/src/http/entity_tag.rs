//! Entity tags: a table's, by the position of its content, and a file's, by what it contains.
//!
//! Invariant: a tag is read before the content that is sent under it. So no content is older than its tag, and a tag that
//! equals the current one names the current content.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hasher};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use actix_web::HttpRequest;
use actix_web::http::header::{ETag, EntityTag, Header, IfNoneMatch};

use crate::epoch::Epoch;

/// Whether the client has the content of this tag (`If-None-Match`).
pub(super) fn is_known(request: &HttpRequest, tag: &ETag) -> bool {
    match IfNoneMatch::parse(request) {
        Ok(IfNoneMatch::Any) => request.headers().contains_key(IfNoneMatch::name()),
        Ok(IfNoneMatch::Items(tags)) => tags.iter().any(|known| known.weak_eq(tag)),
        Err(_) => false,
    }
}

/// The tag of a table's content in a format. `table` tells tables of one name after each other apart.
pub(super) fn table_tag(epoch: &Epoch, table: u64, version: u64, format: &str) -> ETag {
    ETag(EntityTag::new_weak(format!("{}-{table:x}-{version:x}-{format}", epoch.as_str())))
}

/// The tags of files, computed again when a file changes.
#[derive(Debug, Clone, Default)]
pub struct FileTags(Arc<Mutex<HashMap<PathBuf, FileTag>>>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct FileTag {
    modified: Option<SystemTime>,
    num_bytes: u64,
    tag: String,
}

impl FileTags {
    /// The tag of a file's content: equal on every server that has the same file. Blocks.
    pub(super) fn tag(&self, path: &Path) -> std::io::Result<ETag> {
        let metadata = std::fs::metadata(path)?;
        let (modified, num_bytes) = (metadata.modified().ok(), metadata.len());
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(path).cloned();
        if let Some(known) = known
            && (known.modified, known.num_bytes) == (modified, num_bytes)
        {
            return Ok(ETag(EntityTag::new_strong(known.tag)));
        }
        let mut hash = DefaultHasher::new();
        let content = std::fs::read(path)?;
        hash.write(&content);
        let tag = format!("{:016x}-{:x}", hash.finish(), content.len());
        let file_tag = FileTag { modified, num_bytes, tag: tag.clone() };
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(path.to_owned(), file_tag);
        Ok(ETag(EntityTag::new_strong(tag)))
    }
}
