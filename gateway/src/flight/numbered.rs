//! The numbers of the batches of a load with a name.

use proscenium_engine::table::LoadMark;
use serde::Deserialize;
use tonic::Status;

use crate::load_key::LoadKey;

/// The metadata of a batch.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct BatchNumber {
    batch: u64,
}

/// The batches of a load that were received, by their numbers.
#[derive(Debug)]
pub(super) struct Numbered {
    key: LoadKey,
    /// A table that there is before the load is an error.
    must_create: bool,
    /// The first and the last batch that are not sent to the table yet.
    waiting: Option<(u64, u64)>,
    /// The number of the next batch.
    next: Option<u64>,
}

impl Numbered {
    pub fn new(key: LoadKey, must_create: bool) -> Numbered {
        Numbered { key, must_create, waiting: None, next: None }
    }

    /// Notes a batch by its metadata.
    ///
    /// # Errors
    ///
    /// It has no number, or not the next one.
    pub fn note(&mut self, metadata: &[u8]) -> Result<(), Status> {
        let BatchNumber { batch } = serde_json::from_slice(metadata).map_err(|error| {
            Status::invalid_argument(format!("a batch of a load has no metadata {{\"batch\": n}}: {error}"))
        })?;
        if let Some(next) = self.next.filter(|next| *next != batch) {
            return Err(Status::invalid_argument(format!(
                "batch {batch} comes where batch {next} is expected"
            )));
        }
        self.next = Some(batch.checked_add(1).ok_or_else(|| Status::invalid_argument("too many batches"))?);
        self.waiting = Some((self.waiting.map_or(batch, |(first, _)| first), batch));
        Ok(())
    }

    /// The mark of the batches that are sent to the table now; `None` if there are none.
    pub fn take_mark(&mut self) -> Option<LoadMark> {
        let (first, last) = self.waiting.take()?;
        Some(LoadMark { must_create: self.must_create, ..self.key.mark(first, last) })
    }
}

#[cfg(test)]
mod tests {
    use proscenium_engine::hosting::Principal;

    use super::*;

    #[test]
    fn batches_follow_each_other() {
        let key = LoadKey::new("flight", &Principal::anonymous(), "k").unwrap();
        let mut numbered = Numbered::new(key, false);
        for batch in [3, 4] {
            numbered.note(format!("{{\"batch\": {batch}}}").as_bytes()).unwrap();
        }
        let mark = numbered.take_mark().unwrap();
        assert_eq!((mark.first, mark.last), (3, 4));
        assert!(numbered.take_mark().is_none());
        for (metadata, wrong) in [("", "metadata"), ("{\"batch\": 6}", "5"), ("{\"batch\": -1}", "metadata")]
        {
            let error = numbered.note(metadata.as_bytes()).unwrap_err();
            assert!(error.message().contains(wrong), "{error}");
        }
    }
}
